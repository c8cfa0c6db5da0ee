package karpenter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	capacityType = "karpenter.sh/capacity-type"
	class        = "default" // of all nodes
)

// reserved is what the KWOK provider takes off the resources of a type.
var reserved = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("10Mi")}

// prepare defines the kinds, writes the file of instance types, and creates the pools.
func prepare(ctx context.Context, o Options) error {
	folders, err := definitions(ctx)
	if err != nil {
		return err
	}
	if err := o.Cluster.Define(ctx, folders...); err != nil {
		return err
	}
	types, err := json.Marshal(instanceTypes(o.Pools))
	if err != nil {
		return err
	}
	if err := os.WriteFile(typesFile(o.Dir), types, 0o644); err != nil {
		return err
	}
	objects, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects(o)})
	if err != nil {
		return err
	}
	_, err = o.Cluster.RunKubectl(ctx, string(objects), "create", "-f", "-")
	return err
}

func typesFile(dir string) string { return filepath.Join(dir, "instance-types.json") }

// requirement demands one of the values of a label.
func requirement(label string, values ...string) map[string]any {
	return map[string]any{"key": label, "operator": "In", "values": values}
}

// instanceTypes are the types of all pools, in the form that the KWOK provider reads.
func instanceTypes(pools []Pool) []any {
	var types []any
	known := map[string]map[string]any{}
	for _, p := range pools {
		for _, o := range p.Offers {
			made := known[o.InstanceType]
			if made == nil {
				made = map[string]any{"name": o.InstanceType, "architecture": "amd64", "operatingSystems": []string{"linux"}, "resources": whole(o.Node)}
				known[o.InstanceType], types = made, append(types, made)
			}
			offerings, _ := made["offerings"].([]any)
			offering := map[string]any{"Price": cmp.Or(o.PerHour, 0.1), "Available": true, "Requirements": []any{
				requirement(capacityType, p.capacityType()), requirement(corev1.LabelTopologyZone, o.Node.Labels[corev1.LabelTopologyZone]),
			}}
			if !slices.ContainsFunc(offerings, func(other any) bool { return reflect.DeepEqual(other, offering) }) {
				made["offerings"] = append(offerings, offering)
			}
		}
	}
	return types
}

// whole returns the capacity of a type for which the KWOK provider leaves the node's allocatable resources.
func whole(node *corev1.Node) corev1.ResourceList {
	resources := maps.Clone(node.Status.Allocatable)
	for name, less := range reserved {
		amount := resources[name]
		amount.Add(less)
		resources[name] = amount
	}
	return resources
}

func (p Pool) capacityType() string { return cmp.Or(p.CapacityType, "on-demand") }

// objects are the class of all nodes, and the pools.
func objects(o Options) []any {
	all := []any{map[string]any{
		"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": map[string]any{"name": class},
		"spec": map[string]any{"nodeRegistrationDelay": fmt.Sprintf("%ds", o.BootTime/time.Second)},
	}}
	disruption := map[string]any{"consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never", "budgets": []any{map[string]any{"nodes": "100%"}}}
	switch {
	case o.Policy != "":
		disruption = map[string]any{"consolidationPolicy": o.Policy, "consolidateAfter": "0s"}
	case o.ConsolidateAfter > 0:
		disruption["consolidateAfter"] = o.ConsolidateAfter.String()
	}
	for _, p := range o.Pools {
		var types []string
		for _, offer := range p.Offers {
			types = append(types, offer.InstanceType)
		}
		spec := map[string]any{
			"template": map[string]any{
				"metadata": map[string]any{"labels": p.Labels},
				"spec": map[string]any{
					"nodeClassRef": map[string]any{"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": class},
					"requirements": []any{requirement(corev1.LabelInstanceTypeStable, types...), requirement(capacityType, p.capacityType())},
					"taints":       p.Taints,
					"expireAfter":  "Never",
				},
			},
			"disruption": disruption,
		}
		if p.Weight > 0 {
			spec["weight"] = p.Weight
		}
		all = append(all, map[string]any{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": map[string]any{"name": p.Name}, "spec": spec})
	}
	return all
}
