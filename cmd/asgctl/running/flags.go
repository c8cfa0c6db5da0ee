package running

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	filename "path"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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
var OfPod = []string{"--asg-instance-types-file", "--asg-price-file", "--cloud-config", "--grpc-expander-cert", "--grpc-expander-url", "--kubeconfig", "--kubernetes"}

// Current returns the name of a flag, which a user may have given by its former name: flags of ours began with aws-, as one of stock's does.
func Current(name string) string {
	if rest, former := strings.CutPrefix(name, "aws-"); former && name != "aws-use-static-instance-list" {
		return "asg-" + rest
	}
	return name
}

// Flags returns the flags of the autoscaler's Deployment, which need not run. The region of its environment is one of them. The error
// is ErrNone if there is no Deployment of one.
func (a *Autoscaler) Flags(ctx context.Context) (*Deployed, error) {
	if a.client == nil {
		return nil, ErrNone
	}
	wanted := selectors
	if a.options.Selector != "" {
		wanted = []string{a.options.Selector}
	}
	found := map[types.UID]*appsv1.Deployment{} // one may match both
	for _, selector := range wanted {
		list, err := a.client.AppsV1().Deployments(a.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return nil, fmt.Errorf("find the autoscaler's Deployment: %w", err)
		}
		for i, d := range list.Items {
			found[d.UID] = &list.Items[i]
		}
	}
	for _, only := range found {
		if len(found) == 1 {
			return flagsOf(only)
		}
	}
	return nil, fmt.Errorf("%w, and %d Deployments with its labels in namespace %s", ErrNone, len(found), a.options.Namespace)
}

func flagsOf(d *appsv1.Deployment) (*Deployed, error) {
	if len(d.Spec.Template.Spec.Containers) == 0 {
		return nil, errors.New("a Deployment without a container")
	}
	container := autoscalerOf(&d.Spec.Template.Spec)
	words := container.Args
	if len(container.Command) > 0 {
		words = append(slices.Clone(container.Command[1:]), words...)
		if base := filename.Base(container.Command[0]); base == "sh" || base == "bash" {
			return nil, fmt.Errorf("Deployment %s starts a shell, whose flags asgctl does not read", d.Name)
		}
	}
	deployed := &Deployed{Name: d.Name}
	var joined []string // --name value as --name=value
	for _, word := range words {
		word = Expand(word, container.Env)
		if at := len(joined) - 1; at >= 0 && !strings.HasPrefix(word, "-") && strings.HasPrefix(joined[at], "--") && !strings.Contains(joined[at], "=") {
			joined[at] += "=" + word
			continue
		}
		joined = append(joined, word)
	}
	for _, word := range joined {
		if rest, isFlag := strings.CutPrefix(word, "--"); isFlag {
			name, _, _ := strings.Cut(rest, "=")
			word = "--" + Current(name) + strings.TrimPrefix(rest, name)
		}
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

// autoscalerOf returns the container that answers a core as its plugin, or is called like the autoscaler, or else the first. An init container that
// always restarts runs as long as the pod.
func autoscalerOf(pod *corev1.PodSpec) corev1.Container {
	all := append(slices.Clone(pod.Containers), slices.DeleteFunc(slices.Clone(pod.InitContainers), func(c corev1.Container) bool {
		return c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways
	})...)
	called := func(c corev1.Container) bool {
		return strings.Contains(c.Name, "cluster-autoscaler") || len(c.Command) > 0 && filename.Base(c.Command[0]) == "cluster-autoscaler"
	}
	plugin := func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Args, func(word string) bool { return strings.HasPrefix(word, "--asg-plugin-address") })
	}
	return all[max(0, cmp.Or(1+slices.IndexFunc(all, plugin), 1+slices.IndexFunc(all, called))-1)]
}

// variable is a reference to a variable in a command, as Kubernetes expands it.
var variable = regexp.MustCompile(`\$\(([A-Za-z_][A-Za-z0-9_]*)\)`)

// Expand puts the plain values of variables in. A variable with a value from elsewhere stays as it is written.
func Expand(text string, env []corev1.EnvVar) string {
	return variable.ReplaceAllStringFunc(text, func(reference string) string {
		for _, e := range slices.Backward(env) {
			if e.Name == variable.FindStringSubmatch(reference)[1] && e.ValueFrom == nil {
				return e.Value
			}
		}
		return reference
	})
}

// Environment returns the first of the variables that has a value, or "".
func Environment(variables []corev1.EnvVar, names ...string) string {
	for _, name := range names {
		for _, v := range variables {
			if v.Name == name && v.Value != "" {
				return v.Value
			}
		}
	}
	return ""
}

// ContextNamespace is the namespace of the kubeconfig's context.
func (o Options) ContextNamespace() string {
	namespace, _, err := o.config().Namespace()
	if err != nil {
		return metav1.NamespaceDefault
	}
	return namespace
}
