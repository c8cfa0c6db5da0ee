package karpenter

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const capacityType = "karpenter.sh/capacity-type"

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

// requirement demands one value of a label.
func requirement(label, value string) map[string]any {
	return map[string]any{"key": label, "operator": "In", "values": []string{value}}
}

// instanceTypes are the types of all pools, in the form that the KWOK provider reads.
func instanceTypes(pools []Pool) []any {
	var types []any
	known := map[string]bool{}
	for _, p := range pools {
		if known[p.InstanceType] {
			continue
		}
		known[p.InstanceType] = true
		resources := maps.Clone(p.Node.Status.Allocatable)
		for name, less := range reserved {
			amount := resources[name]
			amount.Add(less)
			resources[name] = amount
		}
		types = append(types, map[string]any{
			"name": p.InstanceType, "architecture": "amd64", "operatingSystems": []string{"linux"}, "resources": resources,
			"offerings": []any{map[string]any{"Price": 0.1, "Available": true, "Requirements": []any{
				requirement(capacityType, "on-demand"), requirement(corev1.LabelTopologyZone, p.Node.Labels[corev1.LabelTopologyZone]),
			}}},
		})
	}
	return types
}

// objects are the class of all nodes, and the pools.
func objects(o Options) []any {
	const class = "default"
	all := []any{map[string]any{
		"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": map[string]any{"name": class},
		"spec": map[string]any{"nodeRegistrationDelay": fmt.Sprintf("%ds", o.BootTime/time.Second)},
	}}
	after := "Never"
	if o.ConsolidateAfter > 0 {
		after = o.ConsolidateAfter.String()
	}
	for _, p := range o.Pools {
		all = append(all, map[string]any{
			"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": map[string]any{"name": p.Name},
			"spec": map[string]any{
				"template": map[string]any{
					"metadata": map[string]any{"labels": p.Labels},
					"spec": map[string]any{
						"nodeClassRef": map[string]any{"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": class},
						"requirements": []any{requirement(corev1.LabelInstanceTypeStable, p.InstanceType), requirement(capacityType, "on-demand")},
						"expireAfter":  "Never",
					},
				},
				"disruption": map[string]any{
					"consolidationPolicy": "WhenEmpty", "consolidateAfter": after, "budgets": []any{map[string]any{"nodes": "100%"}},
				},
			},
		})
	}
	return all
}
