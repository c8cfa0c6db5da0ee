package show

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
)

type Template struct {
	Version string `json:"version"`
	Group   string `json:"group"`
	// Zone is the zone of a zonal view of the group. ZonalViews are the IDs of all views if this is the group itself. Then the
	// autoscaler has no node group of its name.
	Zone       string   `json:"zone,omitempty"`
	ZonalViews []string `json:"zonalViews,omitempty"`
	Region     string   `json:"region,omitempty"`
	// Usable means that the autoscaler knows enough to add a node of this group for a pod.
	Usable        bool     `json:"usable"`
	InstanceTypes []string `json:"instanceTypes"`
	// Labels are the labels that every node will carry with exactly this value.
	Labels map[string]string `json:"labels"`
	// Assumed are labels that every node will carry, with values that differ between nodes. The value here is an example.
	Assumed map[string]string `json:"assumed"`
	Taints  []corev1.Taint    `json:"taints"`
	// Capacity and Allocatable are Kubernetes quantities by resource name.
	Capacity    corev1.ResourceList  `json:"capacity"`
	Allocatable corev1.ResourceList  `json:"allocatable"`
	Options     map[string]string    `json:"options"`
	Sources     nodetemplate.Sources `json:"sources"`
	Problems    []launchspec.Problem `json:"problems"`

	id string // of the group, or of the zonal view
}

func TemplateOf(r *source.Reading, g *group.Group) Template {
	t := r.Template(g)
	v := Template{
		Version: Version, Group: g.Name, Zone: g.Zone, Region: r.Region(g), Usable: t.Known(), InstanceTypes: append([]string{}, t.InstanceTypes...),
		Labels: t.Labels, Assumed: t.Assumed, Taints: append([]corev1.Taint{}, t.Taints...),
		Capacity: t.Capacity, Allocatable: t.Allocatable, Options: options(t.Options),
		Sources: t.Sources, Problems: r.Problems(g), id: g.ID(),
	}
	for _, view := range r.Views(g) {
		v.ZonalViews = append(v.ZonalViews, view.ID())
	}
	return v
}

// options are the autoscaling options that the group's tags set, by their tag names. A tag name is the field's in lower case.
func options(o nodetemplate.Options) map[string]string {
	out := map[string]string{}
	for field, value := range reflect.ValueOf(o).Fields() {
		if !value.IsNil() {
			out[strings.ToLower(field.Name)] = fmt.Sprint(value.Elem().Interface())
		}
	}
	return out
}

// maxTypes bounds the instance types in the first line. A group may have hundreds.
const maxTypes = 8

func (v Template) Table() string {
	text := "Group " + Clean(v.id) + with(" in ", v.Region) + ": a node of type " + Clean(some(v.InstanceTypes, maxTypes, " or ", " or one of ")) + "\n"
	if len(v.ZonalViews) > 0 {
		text += "It is scaled zone by zone. Each zone has its own template: " + Clean(strings.Join(v.ZonalViews, ", ")) + "\n"
	}
	return text + v.fields() + v.resources() + v.options() + problemText(v.id, v.Problems)
}

func (v Template) fields() string {
	var rows [][]string
	add := func(kind, name, value string, s nodetemplate.Source) {
		rows = append(rows, []string{kind, name, value, string(s.Kind), s.Detail})
	}
	for _, key := range slices.Sorted(maps.Keys(v.Labels)) {
		add("label", key, v.Labels[key], v.Sources.Labels[key])
	}
	for _, key := range slices.Sorted(maps.Keys(v.Assumed)) {
		add("assumed label", key, v.Assumed[key], v.Sources.Labels[key])
	}
	for _, t := range v.Taints {
		effect := ":" + string(t.Effect)
		add("taint", t.Key, t.Value+effect, v.Sources.Taints[t.Key+effect])
	}
	text := "\n" + Columns([]string{"FIELD", "NAME", "VALUE", "SOURCE", "DETAIL"}, rows)
	if len(v.Assumed) > 0 {
		text += "\nAn assumed label is on every node, but its value differs between them: a pod that needs just this one may wait.\n"
	}
	return text
}

func (v Template) resources() string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(v.Capacity)) {
		total, usable := v.Capacity[name], v.Allocatable[name]
		capacity, allocatable := v.Sources.Capacity[string(name)], v.Sources.Allocatable[string(name)]
		detail := capacity.Detail
		if allocatable != capacity {
			detail += "; allocatable: " + allocatable.Detail
		}
		rows = append(rows, []string{string(name), total.String(), usable.String(), string(capacity.Kind), detail})
	}
	return "\n" + Columns([]string{"RESOURCE", "CAPACITY", "ALLOCATABLE", "SOURCE", "DETAIL"}, rows)
}

func (v Template) options() string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(v.Options)) {
		rows = append(rows, []string{name, v.Options[name], string(nodetemplate.SourceTag)})
	}
	return below([]string{"OPTION", "VALUE", "SOURCE"}, rows)
}
