package doctor

import (
	"cmp"
	"context"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
)

// Bounds of the readings from the API server.
const (
	kubeTimeout = 15 * time.Second
	kubeQPS     = 50
	// maxAutoscalers bounds the pods of autoscalers that are kept.
	maxAutoscalers = 500
)

// pods are the facts that the checks need of all pods, which may be many.
type pods struct {
	waiting     int          // pods that the scheduler found no place for
	waits       string       // one of them, as namespace/name
	autoscalers []corev1.Pod // of any Cluster Autoscaler
}

// readCluster reads the facts of the cluster. Each keeps its own error.
func (in *installation) readCluster(ctx context.Context) {
	err := in.connect(ctx)
	in.kubeErr = err
	in.nodes = fact[map[string]*corev1.Node]{value: map[string]*corev1.Node{}, what: "the nodes", needs: "list nodes", err: err}
	in.pods = fact[pods]{what: "the pods", needs: "list pods in all namespaces", err: err}
	in.daemonSets = fact[[]appsv1.DaemonSet]{what: "the DaemonSets", needs: "list daemonsets.apps in all namespaces", err: err}
	if err != nil {
		return
	}
	in.nodes.err = each(ctx, in.kube.CoreV1().Nodes().List, func(node *corev1.Node) {
		node.ManagedFields, node.Status.Images = nil, nil
		if id := nodemeta.InstanceOf(node); id != "" {
			in.nodes.value[id] = node
		} else {
			in.elsewhere = node
		}
	})
	in.pods.err = each(ctx, in.kube.CoreV1().Pods(metav1.NamespaceAll).List, in.pods.value.add)
	in.takeFlags()
	byName := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	in.daemonSets.err = each(ctx, in.kube.AppsV1().DaemonSets(metav1.NamespaceAll).List, func(d *appsv1.DaemonSet) {
		in.daemonSets.value = append(in.daemonSets.value, *d)
		_ = byName.Add(d) // it has a name
	})
	in.network = aws.ClusterOfCNI(appslisters.NewDaemonSetLister(byName))
}

// connect finds the cluster as kubectl does. An API server that does not answer here would hold up every further call.
func (in *installation) connect(ctx context.Context) error {
	config, err := in.Running.Kube()
	if err != nil {
		return err
	}
	config.Timeout, config.QPS, config.Burst, config.UserAgent = kubeTimeout, kubeQPS, 2*kubeQPS, "asgctl/"+in.Read.Version
	config.AcceptContentTypes, config.ContentType = runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON, runtime.ContentTypeProtobuf
	if in.kube, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	return in.kube.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Error()
}

// each lists objects page by page, and calls do with each.
func each[T any, L runtime.Object](ctx context.Context, list func(context.Context, metav1.ListOptions) (L, error), do func(*T)) error {
	pages := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return list(ctx, o) })
	return pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		do(any(object).(*T))
		return nil
	})
}

func (p *pods) add(pod *corev1.Pod) {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return
	}
	if pod.Spec.NodeName == "" && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
	}) {
		p.waiting++
		p.waits = cmp.Or(p.waits, pod.Namespace+"/"+pod.Name)
	}
	if _, runs := running.AutoscalerIn(&pod.Spec); runs && len(p.autoscalers) < maxAutoscalers {
		pod.ManagedFields = nil
		p.autoscalers = append(p.autoscalers, *pod)
	}
}
