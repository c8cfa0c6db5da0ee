package launchspec

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Source says where a group's instances are described. Exactly one of ConfigurationName and Template is set in a sound group. Mixed reports a mixed
// instances policy around the template.
type Source struct {
	ConfigurationName string
	Template          TemplateRef
	Mixed             bool
	Overrides         []Override
	// OnDemandBase and OnDemandPercentageAboveBase are the policy's, with AWS's defaults (0 and 100) where it has none.
	OnDemandBase                int
	OnDemandPercentageAboveBase int
	// OnDemandStrategy and SpotStrategy are the policy's allocation strategies in AWS's spelling: "prioritized", "lowest-price",
	// "price-capacity-optimized"… They are "" without a policy, and where the policy leaves them to AWS.
	OnDemandStrategy string
	SpotStrategy     string
	// SpotPools is the number of pools in a zone over which the spot strategy "lowest-price" spreads, 0 where the policy has no figure.
	SpotPools int
	// Segments are the policy's. Each lists the kinds of capacity that AWS tries, in order and in its spelling: "capacity-block", "on-demand"…
	Segments     [][]string
	CapacityUnit string // "units" (instances or weights), "vcpu" or "memory-mib"
}

// TemplateRef names one version of a launch template by what its group states: ID, Name or both. Version is a number, "$Latest" or "$Default".
type TemplateRef struct {
	ID      string
	Name    string
	Version string
}

type Override struct {
	InstanceType string
	Weight       int // in capacity units, at least 1
	Template     TemplateRef
	ImageID      string                      // replaces the launch template's image, may be empty
	Requirements *types.InstanceRequirements // select types by their attributes, nil where the entry names a type
}

func (r TemplateRef) String() string { return TemplateOrigin(cmp.Or(r.ID, r.Name), r.Version) }

func (r TemplateRef) IsZero() bool { return r.ID == "" && r.Name == "" }

// unchanged are the entries of a source without overrides: what its launch template says, and a weight of 1.
var unchanged = []Override{{Weight: 1}}

// entries returns the overrides, or the one entry that stands for none. Callers must not change the slice.
func (s Source) entries() []Override {
	if len(s.Overrides) == 0 {
		return unchanged
	}
	return s.Overrides
}

// floats reports whether another version may stand behind the reference tomorrow.
func (r TemplateRef) floats() bool { return strings.HasPrefix(r.Version, "$") }

// templates returns the distinct launch templates of the source, the group's own first.
func (s Source) templates() []TemplateRef {
	refs := []TemplateRef{s.Template}
	for _, o := range s.Overrides {
		if !slices.Contains(refs, o.Template) {
			refs = append(refs, o.Template)
		}
	}
	return slices.DeleteFunc(refs, TemplateRef.IsZero)
}

// Precedes reports whether the source names an earlier version of the launch template, by its number.
func (s Source) Precedes(origin string) bool {
	id, version, _ := strings.Cut(origin, ofVersion)
	started, err := strconv.Atoi(version)
	return err == nil && slices.ContainsFunc(s.templates(), func(r TemplateRef) bool {
		named, err := strconv.Atoi(r.Version)
		return err == nil && r.ID == id && named < started
	})
}

// launched returns the launch templates that instances start from: the source's own, unless every override names another.
func (s Source) launched() []TemplateRef {
	refs := s.templates()
	if !slices.ContainsFunc(s.entries(), func(o Override) bool { return o.Template.IsZero() || o.Template == s.Template }) {
		refs = slices.DeleteFunc(refs, func(r TemplateRef) bool { return r == s.Template })
	}
	return refs
}

// NamesTypes reports whether overrides name all types that the group launches. Types of requirements or of a launch template may change.
func (s Source) NamesTypes() bool {
	return !slices.ContainsFunc(s.entries(), func(o Override) bool { return o.InstanceType == "" })
}

func (s Source) namedTypes() (types []Type) {
	for _, o := range s.Overrides {
		if !slices.ContainsFunc(types, func(t Type) bool { return t.Name == o.InstanceType }) {
			types = append(types, Type{Name: o.InstanceType, Weight: o.Weight})
		}
	}
	return types
}

// replacesImageOf reports whether an override replaces the image of the launch template.
func (s Source) replacesImageOf(ref TemplateRef) bool {
	return slices.ContainsFunc(s.Overrides, func(o Override) bool {
		return o.ImageID != "" && (o.Template == ref || o.Template.IsZero() && s.Template == ref)
	})
}

func SourceFrom(g types.AutoScalingGroup) Source {
	s := Source{
		ConfigurationName: aws.ToString(g.LaunchConfigurationName),
		Template:          templateRefFrom(g.LaunchTemplate),
		CapacityUnit:      cmp.Or(aws.ToString(g.DesiredCapacityType), "units"),
	}
	policy := g.MixedInstancesPolicy
	if policy == nil {
		return s
	}
	s.Mixed, s.OnDemandPercentageAboveBase = true, 100
	if d := policy.InstancesDistribution; d != nil {
		s.OnDemandBase = int(aws.ToInt32(d.OnDemandBaseCapacity))
		if d.OnDemandPercentageAboveBaseCapacity != nil {
			s.OnDemandPercentageAboveBase = int(*d.OnDemandPercentageAboveBaseCapacity)
		}
		s.OnDemandStrategy, s.SpotStrategy = aws.ToString(d.OnDemandAllocationStrategy), aws.ToString(d.SpotAllocationStrategy)
		s.SpotPools = int(aws.ToInt32(d.SpotInstancePools))
		for _, segment := range d.DistributionSegments {
			var kinds []string
			for _, kind := range segment.TargetCapacityTypes {
				kinds = append(kinds, string(kind))
			}
			s.Segments = append(s.Segments, kinds)
		}
	}
	if policy.LaunchTemplate == nil {
		return s
	}
	s.Template = templateRefFrom(policy.LaunchTemplate.LaunchTemplateSpecification)
	for _, o := range policy.LaunchTemplate.Overrides {
		s.Overrides = append(s.Overrides, Override{InstanceType: aws.ToString(o.InstanceType), Weight: ParseWeight(o.WeightedCapacity),
			Template: templateRefFrom(o.LaunchTemplateSpecification), ImageID: aws.ToString(o.ImageId), Requirements: o.InstanceRequirements})
	}
	return s
}

// templateRefFrom reads a launch template specification. Without a version AWS uses the default one.
func templateRefFrom(spec *types.LaunchTemplateSpecification) TemplateRef {
	if spec == nil {
		return TemplateRef{}
	}
	return TemplateRef{ID: aws.ToString(spec.LaunchTemplateId), Name: aws.ToString(spec.LaunchTemplateName),
		Version: cmp.Or(aws.ToString(spec.Version), "$Default")}
}

// Group is what a Resolver needs to know of an Auto Scaling group. It is immutable.
type Group struct {
	Name               string
	Source             Source
	Tags               map[string]string
	SuspendedProcesses []string
}

// SameSource reports whether both launch from the same place. Either may be nil.
func (g *Group) SameSource(o *Group) bool {
	return g != nil && o != nil && reflect.DeepEqual(g.Source, o.Source) && g.ManagedNodegroup() == o.ManagedNodegroup() &&
		slices.Equal(g.SuspendedProcesses, o.SuspendedProcesses)
}

// ParseWeight reads a weight, which AWS keeps as text. Anything but a positive number weighs 1.
func ParseWeight(text *string) int {
	weight, err := strconv.Atoi(aws.ToString(text))
	if err != nil || weight < 1 || weight > math.MaxInt32 {
		return 1
	}
	return weight
}
