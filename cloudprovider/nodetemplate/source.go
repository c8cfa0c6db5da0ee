package nodetemplate

// SourceKind is where a field of a Template comes from, the strongest first.
type SourceKind string

const (
	SourceTag       SourceKind = "tag"           // a node-template tag of the Auto Scaling group or EKS node group
	SourceNodegroup SourceKind = "eks-nodegroup" // EKS DescribeNodegroup, or the tags EKS puts on its groups
	SourceUserData  SourceKind = "user-data"     // the launch template's user data
	SourceLearnt    SourceKind = "learnt"        // observed on real nodes of this group
	SourceGroup     SourceKind = "group"         // the Auto Scaling group itself: region, zones, its launch template or image
	SourceCatalogue SourceKind = "catalogue"     // facts of the instance types
	SourceCNI       SourceKind = "cni"           // the settings of the cluster's VPC CNI, computed as EKS does
	SourceFormula   SourceKind = "formula"       // computed as the node does
	SourceDefault   SourceKind = "default"       // nothing is known, the usual value
)

// Source is where one field of a Template comes from. asgctl prints it as JSON.
type Source struct {
	Kind   SourceKind `json:"kind"`
	Detail string     `json:"detail,omitempty"` // tag key, instance type, or the formula in words, for people
}

// Declared reports whether a person declared the field for this group. Declared facts hold even while a live node does not show them yet.
func (s Source) Declared() bool {
	return s.Kind == SourceTag || s.Kind == SourceNodegroup || s.Kind == SourceUserData
}

// Sources holds the Source of every field of a Template. asgctl prints them as JSON.
type Sources struct {
	Labels      map[string]Source `json:"labels"`      // by label key, promised and assumed ones
	Taints      map[string]Source `json:"taints"`      // by "<key>:<effect>"
	Capacity    map[string]Source `json:"capacity"`    // by resource name
	Allocatable map[string]Source `json:"allocatable"` // by resource name
}
