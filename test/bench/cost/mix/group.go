package mix

import (
	"cmp"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"

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

// source knows instance types and prices.
type source struct {
	region    string
	list      *pricing.List
	prices    map[string]float64 // on-demand, stated by the mix
	spotRatio float64
}

func (s *source) group(f fileGroup) (Group, error) {
	if f.Type == "" {
		return Group{}, fmt.Errorf("group %q has no type", f.Name)
	}
	f.CapacityType, f.Zone = cmp.Or(f.CapacityType, onDemand), cmp.Or(f.Zone, s.region+"a")
	g := Group{Name: f.Name, InstanceType: f.Type, Spot: f.CapacityType == spot, Max: defaultMax}
	if g.Name == "" {
		g.Name = f.Type
		if g.Spot {
			g.Name += "-spot"
		}
	}
	if err := s.describe(&g, f); err != nil {
		return g, fmt.Errorf("group %q: %w", g.Name, err)
	}
	g.Labels = map[string]string{labelCapacityType: f.CapacityType, LabelGroup: g.Name}
	maps.Copy(g.Labels, f.Labels)
	maps.Copy(g.Node.Labels, g.Labels)
	return g, nil
}

// describe adds the price, the limit and the node of a group.
func (s *source) describe(g *Group, f fileGroup) (err error) {
	if g.Node, err = s.node(g.Name, f); err != nil {
		return err
	}
	switch {
	case !g.Spot && f.CapacityType != onDemand:
		return fmt.Errorf("capacity type %q is neither %q nor %q", f.CapacityType, onDemand, spot)
	case f.Price != nil:
		g.PerHour = *f.Price
	default:
		if g.PerHour, err = s.price(f.Type); g.Spot {
			g.PerHour *= s.spotRatio
		}
	}
	if err != nil {
		return err
	}
	if f.Max != nil {
		g.Max = *f.Max
	}
	for _, text := range f.Taints {
		taint, err := parseTaint(text)
		if err != nil {
			return err
		}
		g.Node.Spec.Taints = append(g.Node.Spec.Taints, taint)
	}
	return nil
}

func (s *source) price(instanceType string) (float64, error) {
	if perHour, ok := s.prices[instanceType]; ok {
		return perHour, nil
	}
	price, ok := s.list.Lookup(instanceType)
	if !ok {
		return 0, fmt.Errorf("no price of %q is known in %s: state it under \"prices\"", instanceType, s.region)
	}
	return price.Amount.PerHour, nil
}

// node is the node that the group of that name would add.
func (s *source) node(name string, f fileGroup) (*corev1.Node, error) {
	facts, ok := instancetypes.Embedded().Lookup(f.Type)
	if !ok {
		return nil, fmt.Errorf("instance type %q is not in the catalogue", f.Type)
	}
	template, _ := nodetemplate.Build(nodetemplate.Input{
		Group: name, Region: s.region, Zones: []string{f.Zone}, CapacityType: f.CapacityType,
		Members: []nodetemplate.Member{{Type: facts}}, AMIFamily: nodetemplate.AL2023,
	})
	return template.Node("template-of-" + name), nil
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
