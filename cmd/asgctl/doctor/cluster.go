package doctor

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
)

// Bounds of the readings from the API server.
const (
	perPage     = 500
	maxPages    = 200 // 100,000 objects of a kind
	kubeTimeout = 15 * time.Second
	kubeQPS     = 50
)

// pods are the facts that the checks need of all pods, which may be many.
type pods struct {
	busy        map[string]int // pods by node, without static pods and pods of DaemonSets
	waiting     int            // pods that the scheduler found no place for
	waits       string         // one of them, as namespace/name
	autoscalers []corev1.Pod   // of any Cluster Autoscaler, or Karpenter
}

// readCluster reads the facts of the cluster. Each keeps its own error.
func (in *installation) readCluster(ctx context.Context) {
	config, err := in.restConfig()
	if err == nil {
		in.kube, err = kubernetes.NewForConfig(config)
	}
	in.kubeErr = err
	in.nodes = fact[map[string]*corev1.Node]{what: "the nodes", needs: "list nodes", err: err}
	in.pods = fact[pods]{what: "the pods", needs: "list pods in all namespaces", err: err}
	in.daemonSets = fact[[]appsv1.DaemonSet]{what: "the DaemonSets", needs: "list daemonsets.apps in all namespaces", err: err}
	in.leases = fact[[]coordinationv1.Lease]{what: "the leases", needs: "list leases.coordination.k8s.io in all namespaces", err: err}
	if err != nil {
		return
	}
	if in.kubeErr = in.kube.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error(); in.kubeErr != nil {
		// An API server that does not answer would hold up every further call.
		in.nodes.err, in.pods.err, in.daemonSets.err, in.leases.err = in.kubeErr, in.kubeErr, in.kubeErr, in.kubeErr
		return
	}
	in.readNodes(ctx)
	in.readPods(ctx)
	in.takeFlags()
	in.readDaemonSets(ctx)
	in.readLeases(ctx)
}

// restConfig finds the cluster as kubectl does.
func (in *installation) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = in.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: in.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster (--kubeconfig and --context select one): %w", err)
	}
	config.Timeout, config.QPS, config.Burst, config.UserAgent = kubeTimeout, kubeQPS, 2*kubeQPS, "asgctl/"+in.Read.Version
	config.AcceptContentTypes, config.ContentType = runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON, runtime.ContentTypeProtobuf
	return config, nil
}

// eachPage lists objects page by page, up to the bound. It returns why a part is missing, or "".
func eachPage(list func(metav1.ListOptions) (metav1.ListInterface, error)) (partial string, err error) {
	options := metav1.ListOptions{Limit: perPage}
	for range maxPages {
		page, err := list(options)
		if err != nil {
			return "", err
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return "", nil
		}
	}
	return fmt.Sprintf("there are more than %d", perPage*maxPages), nil
}

func (in *installation) readNodes(ctx context.Context) {
	in.nodes.value = map[string]*corev1.Node{}
	in.nodes.partial, in.nodes.err = eachPage(func(o metav1.ListOptions) (metav1.ListInterface, error) {
		page, err := in.kube.CoreV1().Nodes().List(ctx, o)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			node := &page.Items[i]
			node.ManagedFields, node.Status.Images = nil, nil
			if id := instanceOf(node); id != "" {
				in.nodes.value[id] = node
			}
		}
		return page, nil
	})
}

func (in *installation) readPods(ctx context.Context) {
	found := &in.pods.value
	found.busy = map[string]int{}
	in.pods.partial, in.pods.err = eachPage(func(o metav1.ListOptions) (metav1.ListInterface, error) {
		page, err := in.kube.CoreV1().Pods(metav1.NamespaceAll).List(ctx, o)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			found.add(&page.Items[i])
		}
		return page, nil
	})
}

func (p *pods) add(pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return
	}
	owner := metav1.GetControllerOf(pod)
	_, static := pod.Annotations[corev1.MirrorPodAnnotationKey]
	switch {
	case pod.Spec.NodeName != "" && !static && (owner == nil || owner.Kind != "DaemonSet"):
		p.busy[pod.Spec.NodeName]++
	case pod.Spec.NodeName == "" && unschedulable(pod):
		p.waiting++
		p.waits = cmp.Or(p.waits, pod.Namespace+"/"+pod.Name)
	}
	if kind, _ := autoscalerIn(pod); kind != "" && len(p.autoscalers) < perPage {
		pod.ManagedFields = nil
		p.autoscalers = append(p.autoscalers, *pod)
	}
}

func unschedulable(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
	})
}

// Autoscalers, by the last part of an image's name, or by the name of a container or its command.
const (
	clusterAutoscaler = "cluster-autoscaler"
	karpenter         = "karpenter"
)

var autoscalerNames = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{clusterAutoscaler, regexp.MustCompile(`(^|[/_-])cluster-autoscaler(-amd64|-arm64)?$`)},
	{karpenter, regexp.MustCompile(`(^|/)karpenter(/controller)?$`)},
}

// runs returns the autoscaler that the container runs, or "".
func runs(c corev1.Container) string {
	image, _, _ := strings.Cut(c.Image, "@")
	if at := strings.LastIndexByte(image, ':'); at > strings.LastIndexByte(image, '/') {
		image = image[:at]
	}
	words := append([]string{image, c.Name}, c.Command[:min(len(c.Command), 1)]...)
	for _, name := range autoscalerNames {
		if slices.ContainsFunc(words, name.pattern.MatchString) {
			return name.kind
		}
	}
	return ""
}

// autoscalerIn returns the first container of the pod that runs an autoscaler, and which one, or "".
func autoscalerIn(pod *corev1.Pod) (kind string, c corev1.Container) {
	for _, c := range pod.Spec.Containers {
		if kind := runs(c); kind != "" {
			return kind, c
		}
	}
	return "", c
}

func (in *installation) readDaemonSets(ctx context.Context) {
	in.daemonSets.partial, in.daemonSets.err = eachPage(func(o metav1.ListOptions) (metav1.ListInterface, error) {
		page, err := in.kube.AppsV1().DaemonSets(metav1.NamespaceAll).List(ctx, o)
		if err != nil {
			return nil, err
		}
		in.daemonSets.value = append(in.daemonSets.value, page.Items...)
		return page, nil
	})
}

// readLeases reads the leases of the autoscaler's namespace, and elsewhere the leases of the usual name. Each node has a lease, so not all are read.
func (in *installation) readLeases(ctx context.Context) {
	for namespace, selector := range map[string]fields.Selector{
		in.namespace:        fields.Everything(),
		metav1.NamespaceAll: fields.OneTermEqualSelector(metav1.ObjectNameField, clusterAutoscaler),
	} {
		partial, err := eachPage(func(o metav1.ListOptions) (metav1.ListInterface, error) {
			o.FieldSelector = selector.String()
			page, err := in.kube.CoordinationV1().Leases(namespace).List(ctx, o)
			if err != nil {
				return nil, err
			}
			for _, lease := range page.Items {
				if strings.Contains(lease.Name, clusterAutoscaler) && !slices.ContainsFunc(in.leases.value, func(l coordinationv1.Lease) bool { return l.UID == lease.UID }) {
					in.leases.value = append(in.leases.value, lease)
				}
			}
			return page, nil
		})
		if err != nil {
			in.leases.err = err
			return
		}
		in.leases.partial += partial
	}
}

// networkName returns the cluster's name that EKS has given to the VPC CNI, or "".
func networkName(daemonSets []appsv1.DaemonSet) string {
	name := ""
	for _, d := range daemonSets {
		for _, c := range d.Spec.Template.Spec.Containers {
			for _, e := range c.Env {
				if d.Namespace == "kube-system" && d.Name == "aws-node" && c.Name == d.Name && e.Name == "CLUSTER_NAME" && ownership.CheckClusterName(e.Value) == nil {
					name = e.Value
				}
			}
		}
	}
	return name
}
