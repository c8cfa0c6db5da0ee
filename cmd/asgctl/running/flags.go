package running

import (
	"context"
	"errors"
	"fmt"
	"maps"
	filename "path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Deployed are the flags of the autoscaler's Deployment.
type Deployed struct {
	Name  string   // of the Deployment
	Flags []string // as --name=value or --name
	// Left are the flags that name something which only the pod has.
	Left []string
}

// OfPod are the flags whose values are files of the pod, or its connections.
var OfPod = []string{"--asg-instance-types-file", "--asg-price-file", "--cloud-config", "--grpc-expander-cert", "--grpc-expander-url", "--kubeconfig",
	"--kubernetes", "--scheduler-config-file"}

// Flags returns the flags of the autoscaler's Deployment, which need not run. The region of its environment is one of them. The error
// is ErrNone if there is no Deployment of one. A shadow counts only where it is alone.
func (a *Autoscaler) Flags(ctx context.Context) (*Deployed, error) {
	if a.client == nil {
		return nil, ErrNone
	}
	found := map[types.UID]*appsv1.Deployment{} // one may match both
	for _, selector := range a.selectors {
		list, err := a.client.AppsV1().Deployments(a.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("find the autoscaler's Deployment: %w", err)
		}
		for i, d := range list.Items {
			found[d.UID] = &list.Items[i]
		}
	}
	if len(found) > 1 {
		maps.DeleteFunc(found, func(_ types.UID, d *appsv1.Deployment) bool { return shadows(d) })
	}
	for _, only := range found {
		if len(found) == 1 {
			return flagsOf(only)
		}
	}
	return nil, fmt.Errorf("%w, and %d Deployments with its labels in namespace %s", ErrNone, len(found), a.options.Namespace)
}

// shadows reports whether the Deployment watches another autoscaler and changes nothing.
func shadows(d *appsv1.Deployment) bool {
	_, container := AutoscalerIn(&d.Spec.Template.Spec)
	for _, word := range slices.Backward(Words(container)) {
		if name, value, _ := strings.Cut(word, "="); name == "--shadow" {
			return value != "false"
		}
	}
	return false
}

func flagsOf(d *appsv1.Deployment) (*Deployed, error) {
	if len(d.Spec.Template.Spec.Containers) == 0 {
		return nil, errors.New("a Deployment without a container")
	}
	container := d.Spec.Template.Spec.Containers[0]
	if kind, c := AutoscalerIn(&d.Spec.Template.Spec); kind == ClusterAutoscaler {
		container = c
	}
	if len(container.Command) > 0 {
		if base := filename.Base(container.Command[0]); base == "sh" || base == "bash" {
			return nil, fmt.Errorf("Deployment %s starts a shell, whose flags asgctl does not read", d.Name)
		}
	}
	deployed := &Deployed{Name: d.Name}
	for _, word := range Words(container) {
		name, _, _ := strings.Cut(word, "=")
		if slices.Contains(OfPod, name) || strings.Contains(word, "$(") { // a value that only the pod knows
			deployed.Left = append(deployed.Left, name)
			continue
		}
		deployed.Flags = append(deployed.Flags, word)
	}
	if region := Environment(container.Env, "AWS_REGION", "AWS_DEFAULT_REGION"); region != "" &&
		!slices.ContainsFunc(deployed.Flags, func(f string) bool { return strings.HasPrefix(f, "--asg-region=") }) {
		deployed.Flags = append(deployed.Flags, "--asg-region="+region)
	}
	return deployed, nil
}

// ContextNamespace is the namespace of the kubeconfig's context.
func (o Options) ContextNamespace() string {
	namespace, _, err := o.config().Namespace()
	if err != nil {
		return metav1.NamespaceDefault
	}
	return namespace
}
