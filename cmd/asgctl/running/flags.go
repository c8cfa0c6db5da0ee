package running

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ofPod are the flags whose values are files of the pod, or its connections.
var ofPod = []string{"--asg-instance-types-file", "--asg-price-file", "--cloud-config", "--grpc-expander-cert", "--grpc-expander-url", "--kubeconfig",
	"--kubernetes", "--scheduler-config-file"}

// Over lays given flags over the autoscaler's flags. A given flag replaces all flags of its name. A flag that selects groups replaces all flags that
// select groups. left are the flags that Over leaves out, because they name something that only the autoscaler's pod has.
func Over(flags, given []string) (over, left []string) {
	selects := func(name string) bool { return name == "--nodes" || name == "--node-group-auto-discovery" }
	for _, flag := range flags {
		name := nameOf(flag)
		replaces := func(word string) bool {
			return nameOf(word) == name || selects(nameOf(word)) && selects(name)
		}
		switch {
		case slices.ContainsFunc(given, replaces):
		case slices.Contains(ofPod, name) || strings.Contains(flag, "$("): // a value that only the pod knows
			left = append(left, name)
		default:
			over = append(over, flag)
		}
	}
	return append(over, given...), left
}

// nameOf is the name of a flag with the hyphens that stand for its underscores when it is parsed.
func nameOf(flag string) string {
	name, _, _ := strings.Cut(flag, "=")
	return strings.ReplaceAll(name, "_", "-")
}

// Region is the region of the cluster, or "". The autoscaler's pods have it where a webhook of EKS gave it to them, and nodes have a label.
func (a *Autoscaler) Region(ctx context.Context) string {
	pods, _ := a.labelled(ctx) // the nodes are asked if these cannot be
	for i := range pods {
		container, _ := AutoscalerIn(&pods[i].Spec)
		if region := RegionOf(container); region != "" {
			return region
		}
	}
	nodes, err := a.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: corev1.LabelTopologyRegion, Limit: 1})
	if err != nil || len(nodes.Items) == 0 {
		return ""
	}
	return nodes.Items[0].Labels[corev1.LabelTopologyRegion]
}

// Flags returns the name of the autoscaler's Deployment, which need not run, and its flags as --name=value or --name. The region of its environment
// is the first of them. The error is ErrNone if there is no Deployment of one. A shadow counts only where it is alone, and so does a core beside its plugin.
func (a *Autoscaler) Flags(ctx context.Context) (deployment string, flags []string, err error) {
	found := map[types.UID]*appsv1.Deployment{} // one may match both
	for _, selector := range a.selectors {
		list, err := a.Client.AppsV1().Deployments(a.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return "", nil, fmt.Errorf("find the autoscaler's Deployment: %w", err)
		}
		for i, d := range list.Items {
			found[d.UID] = &list.Items[i]
		}
	}
	if len(found) > 1 {
		maps.DeleteFunc(found, func(_ types.UID, d *appsv1.Deployment) bool {
			container, _ := AutoscalerIn(&d.Spec.Template.Spec)
			return FlagsOf(container).Shadows() || FlagsOf(container).Core()
		})
	}
	for _, only := range found {
		if len(found) == 1 {
			flags, err = deployed(only)
			return only.Name, flags, err
		}
	}
	return "", nil, fmt.Errorf("%w, and %d Deployments with its labels in namespace %s", ErrNone, len(found), a.options.Namespace)
}

func deployed(d *appsv1.Deployment) (flags []string, err error) {
	container := d.Spec.Template.Spec.Containers[0]
	if c, runs := AutoscalerIn(&d.Spec.Template.Spec); runs {
		container = c
	}
	if Shell(container) {
		return nil, fmt.Errorf("Deployment %s starts a shell, whose flags asgctl does not read", d.Name)
	}
	if region := RegionOf(container); region != "" {
		flags = []string{"--asg-region=" + region} // a later one wins
	}
	return append(flags, slices.DeleteFunc(words(container), func(word string) bool { return !strings.HasPrefix(word, "-") })...), nil
}

func (o Options) ContextNamespace() string {
	namespace, _, err := o.config().Namespace()
	if err != nil {
		return metav1.NamespaceDefault
	}
	return namespace
}
