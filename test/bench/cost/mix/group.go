package mix

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// LabelGroup is on every node, with the name of its group.
const LabelGroup = "asg-autoscaler/group"

// Capacity types in a mix and in the label of its nodes.
const (
	onDemand          = "on-demand"
	spot              = "spot"
	labelCapacityType = "asg-autoscaler/capacity-type"
)

// defaultMax is the maximum number of a group's nodes if the mix states none.
const defaultMax = 1000

// groupSpec describes a group. Empty fields come from the catalogue or the price list, or are left out.
type groupSpec struct {
	name, instanceType string
	capacityType       string
	perHour            float64
	max                int
	zone               string
	labels             map[string]string
	taints             []corev1.Taint
}

// source knows instance types and prices.
type source struct {
	region    string
	catalogue *instancetypes.Catalogue
	list      *pricing.List
	prices    map[string]float64 // on-demand, stated by the mix
	own       map[string]ownType // stated by the mix
	spotRatio float64
}

// ownType is an instance type stated by a mix, with its nodes' allocatable resources.
type ownType struct {
	offers  corev1.ResourceList
	arch    string
	perHour float64
}

func newSource(region string) *source {
	return &source{region: region, catalogue: instancetypes.Embedded(), list: pricing.Embedded(region),
		prices: map[string]float64{}, own: map[string]ownType{}, spotRatio: pricing.DefaultSpotRatio}
}

func (s *source) group(spec groupSpec) (Group, error) {
	g := Group{Name: spec.name, InstanceType: spec.instanceType, PerHour: spec.perHour, Max: spec.max}
	switch spec.capacityType {
	case "", onDemand:
		spec.capacityType = onDemand
	case spot:
		g.Spot = true
	default:
		return g, fmt.Errorf("group %q: capacity type %q is neither %q nor %q", g.Name, spec.capacityType, onDemand, spot)
	}
	if g.PerHour == 0 {
		price, err := s.price(spec.instanceType)
		if err != nil {
			return g, fmt.Errorf("group %q: %w", g.Name, err)
		}
		g.PerHour = price
		if g.Spot {
			g.PerHour *= s.spotRatio
		}
	}
	if g.Max == 0 {
		g.Max = defaultMax
	}
	if spec.zone == "" {
		spec.zone = s.region + "a"
	}
	var err error
	if g.Node, err = s.node(spec); err != nil {
		return g, fmt.Errorf("group %q: %w", g.Name, err)
	}
	g.Node.Spec.Taints = append(g.Node.Spec.Taints, spec.taints...)
	g.Labels = map[string]string{labelCapacityType: spec.capacityType, LabelGroup: g.Name}
	maps.Copy(g.Labels, spec.labels)
	maps.Copy(g.Node.Labels, g.Labels)
	_, g.Stated = s.own[spec.instanceType]
	return g, nil
}

func (s *source) price(instanceType string) (float64, error) {
	if perHour, ok := s.prices[instanceType]; ok {
		return perHour, nil
	}
	if own, ok := s.own[instanceType]; ok && own.perHour > 0 {
		return own.perHour, nil
	}
	price, ok := s.list.Lookup(instanceType)
	if !ok {
		return 0, fmt.Errorf("no price of %q is known in %s: state it under \"prices\"", instanceType, s.region)
	}
	return price.Amount.PerHour, nil
}

// node is the node that a group would add.
func (s *source) node(spec groupSpec) (*corev1.Node, error) {
	if own, ok := s.own[spec.instanceType]; ok {
		return own.node(spec, s.region), nil
	}
	facts, ok := s.catalogue.Lookup(spec.instanceType)
	if !ok {
		return nil, fmt.Errorf("instance type %q is not in the catalogue: describe it under \"types\" with cpu and memory", spec.instanceType)
	}
	template, _ := nodetemplate.Build(nodetemplate.Input{
		Group: spec.name, Region: s.region, Zones: []string{spec.zone}, CapacityType: spec.capacityType,
		Members: []nodetemplate.Member{{Type: facts}}, AMIFamily: nodetemplate.AL2023,
	})
	return template.Node("template-of-" + spec.name), nil
}

func (t ownType) node(spec groupSpec, region string) *corev1.Node {
	node := nodetemplate.Template{
		Group: spec.name, Capacity: t.offers, Allocatable: t.offers,
		Labels: map[string]string{
			corev1.LabelArchStable: t.arch, corev1.LabelOSStable: "linux", corev1.LabelInstanceTypeStable: spec.instanceType,
			corev1.LabelTopologyRegion: region, corev1.LabelTopologyZone: spec.zone,
		},
	}
	return node.Node("template-of-" + spec.name)
}

// parseTaint reads a taint as kubectl writes it: key=value:Effect, or key:Effect.
func parseTaint(text string) (corev1.Taint, error) {
	rest, effect, ok := strings.Cut(text, ":")
	key, value, _ := strings.Cut(rest, "=")
	switch corev1.TaintEffect(effect) {
	case corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule:
	default:
		ok = false
	}
	if !ok || key == "" {
		return corev1.Taint{}, fmt.Errorf("taint %q is not of the form key=value:NoSchedule", text)
	}
	return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}, nil
}

// parseToleration parses a tolerated taint, or only its key for any value and effect.
func parseToleration(text string) (corev1.Toleration, error) {
	if !strings.ContainsAny(text, ":=") {
		if text == "" {
			return corev1.Toleration{}, fmt.Errorf("a toleration is empty: write the key of the taint, or key=value:NoSchedule")
		}
		return corev1.Toleration{Key: text, Operator: corev1.TolerationOpExists}, nil
	}
	taint, err := parseTaint(text)
	if err != nil {
		return corev1.Toleration{}, fmt.Errorf("toleration: %w, nor a key", err)
	}
	return corev1.Toleration{Key: taint.Key, Value: taint.Value, Operator: corev1.TolerationOpEqual, Effect: taint.Effect}, nil
}

func quantities(pairs map[corev1.ResourceName]string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, text := range pairs {
		list[name] = resource.MustParse(text)
	}
	return list
}
