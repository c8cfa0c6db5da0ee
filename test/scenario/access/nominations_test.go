package access

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan/nomination"
)

// notReady is the annotation that keeps a simulated node from becoming Ready (test/emulator/controlplane/config/stages.yaml).
const notReady = "controlplane/not-ready"

// isStarting is a taint of nodes that are Ready and take no pods yet.
const isStarting = "access/starting"

// keepsThePlan has pods nominated with the replica's token, for nodes that become Ready and take pods later. kube-scheduler would put the
// two small pods on the node that takes pods first, and the wide pod would then fit on the other one. The plan is the other way round.
func keepsThePlan(t *testing.T, r *replica) {
	label := "planned-" + r.name
	small1, small2, wide := r.planned(t, "small-1", label, "900m"), r.planned(t, "small-2", label, "900m"), r.planned(t, "wide", label, "1700m")
	first, second, third := label+"-1", label+"-2", label+"-3"
	nominator, results := r.nominator(t)
	nominator.Plan.Asked(plan.Nodes(first, [][]*corev1.Pod{{small1, small2}})...)
	nominator.Plan.Asked(plan.Nodes(second, [][]*corev1.Pod{{wide}})...)
	nominator.Plan.Asked(plan.Nodes("nowhere", [][]*corev1.Pod{{r.ignored(t, "later", nil)}})...) // pods that are all alike are not nominated
	r.registers(t, first, label)
	r.registers(t, second, label)
	nominated := func(p *corev1.Pod) string { return p.Status.NominatedNodeName }
	onNode := func(p *corev1.Pod) string { return p.Spec.NodeName }
	r.becomesReady(t, second)
	r.awaitPods(t, nominated, map[string]string{"small-1": "", "small-2": "", "wide": second})
	r.takesPods(t, second)
	r.awaitPods(t, onNode, map[string]string{"small-1": "", "small-2": "", "wide": second})
	r.becomesReady(t, first)
	r.awaitPods(t, nominated, map[string]string{"small-1": first, "small-2": first})
	r.takesPods(t, first)
	r.awaitPods(t, onNode, map[string]string{"small-1": first, "small-2": first, "wide": second})
	awaitResult(t, results, "kept", 3)

	waits := r.planned(t, "waits", label, "1900m")
	nominator.Plan.Asked(plan.Nodes(third, [][]*corev1.Pod{{waits}})...)
	r.registers(t, third, label)
	r.becomesReady(t, third)
	r.awaitPods(t, nominated, map[string]string{"waits": third})
	require.NoError(t, r.client.CoreV1().Nodes().Delete(t.Context(), third, metav1.DeleteOptions{}))
	awaitResult(t, results, "withdrawn", 1)
	r.awaitPods(t, nominated, map[string]string{"waits": ""})
	r.overwritesNobody(t, nominator, label)
}

// overwritesNobody has the nominator read pods as they were before somebody else nominated them, bound them, or made them anew.
func (r *replica) overwritesNobody(t *testing.T, nominator *nomination.Nominator, label string) {
	pods := r.client.CoreV1().Pods(r.name)
	fourth, fifth := label+"-4", label+"-5"
	nominated := r.ignored(t, "nominated", map[string]string{readEarly: ""})
	nominated.Status.NominatedNodeName = "elsewhere"
	_, err := pods.UpdateStatus(t.Context(), nominated, metav1.UpdateOptions{})
	require.NoError(t, err)
	bound := r.ignored(t, "bound", map[string]string{readEarly: ""})
	require.NoError(t, pods.Bind(t.Context(), &corev1.Binding{ObjectMeta: bound.ObjectMeta, Target: corev1.ObjectReference{Kind: "Node", Name: label + "-1"}}, metav1.CreateOptions{}))
	anew := r.ignored(t, "anew", map[string]string{readEarly: "before"})
	anew.UID = "before"
	nominator.Plan.Asked(plan.Nodes(fourth, [][]*corev1.Pod{{nominated, bound, anew}})...)
	nominator.Plan.Asked(plan.Nodes(fifth, [][]*corev1.Pod{{r.ignored(t, "last", nil)}})...)
	for _, node := range []string{fourth, fifth} {
		r.registers(t, node, label)
		r.becomesReady(t, node)
	}
	r.awaitPods(t, func(p *corev1.Pod) string { return p.Status.NominatedNodeName },
		map[string]string{"last": fifth, "nominated": "elsewhere", "bound": "", "anew": ""})
}

// worksWithoutNominations has an account that may not nominate.
func worksWithoutNominations(t *testing.T, l *lab) {
	r := &replica{lab: l, name: "without-nominations"}
	r.kubeconfig = l.grant(t, r.name, shipped(t, "rbac"))
	pod := r.planned(t, "small", r.name, "900m")
	nominator, results := r.nominator(t)
	nominator.Plan.Asked(plan.Nodes(r.name, [][]*corev1.Pod{{pod}})...)
	nominator.Plan.Asked(plan.Nodes("nowhere", [][]*corev1.Pod{{r.ignored(t, "later", nil)}})...)
	r.registers(t, r.name, r.name)
	r.becomesReady(t, r.name)
	awaitResult(t, results, "forbidden", 1)
	r.takesPods(t, r.name)
	r.awaitPods(t, func(p *corev1.Pod) string { return p.Spec.NodeName }, map[string]string{"small": r.name})
}

// planned makes a pod for nodes with the label, and waits until kube-scheduler has found no node for it.
func (r *replica) planned(t *testing.T, name, label, cpu string) *corev1.Pod {
	pods, classes := r.client.CoreV1().Pods(r.name), r.client.SchedulingV1().PriorityClasses()
	// kube-scheduler leaves the nomination of a pod that preempts nobody, although it tries the pod in vain. So the test sees each.
	_, err := classes.Create(t.Context(), &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: label},
		PreemptionPolicy: ptr.To(corev1.PreemptNever)}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
	eventually(t, func(ctx context.Context) string { // until admission knows the class
		_, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{PriorityClassName: label,
			NodeSelector: map[string]string{"planned": label}, TerminationGracePeriodSeconds: ptr.To[int64](0),
			Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/web:dev", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}}}, metav1.CreateOptions{})
		if err != nil {
			return err.Error()
		}
		return ""
	})
	t.Cleanup(func() { _ = pods.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	var pod *corev1.Pod
	eventually(t, func(ctx context.Context) string {
		if pod, err = pods.Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
				return ""
			}
		}
		return fmt.Sprintf("kube-scheduler has not tried pod %s", name)
	})
	return pod
}

// ignored makes a pod that no scheduler looks at, that is like no other, and that could run where others do.
func (r *replica) ignored(t *testing.T, name string, annotations map[string]string) *corev1.Pod {
	pods := r.client.CoreV1().Pods(r.name)
	pod, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Spec: corev1.PodSpec{
		SchedulerName: "nobody", NodeSelector: map[string]string{"for-" + name: ""}, TerminationGracePeriodSeconds: ptr.To[int64](0),
		Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/web:dev"}}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = pods.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	return pod
}

// readEarly is an annotation of pods that are read as they were before somebody nominated or bound them. Its value is the UID that is read, ""
// for the pod's own.
const readEarly = "access/read-early"

// older has each pod read with the version before its own, as if a change of it by kube-scheduler had not arrived yet.
func older(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		version, err := strconv.Atoi(pod.ResourceVersion)
		if err != nil {
			return nil, err
		}
		pod.ResourceVersion = strconv.Itoa(version - 1)
		if uid, early := pod.Annotations[readEarly]; early {
			pod.Spec.NodeName, pod.Status.NominatedNodeName, pod.Status.Phase = "", "", corev1.PodPending
			pod.UID = cmp.Or(types.UID(uid), pod.UID)
		}
	}
	return object, nil
}

// nominator runs a Nominator with the replica's token until the test ends. The group of a node has its name. Its readings are old.
func (r *replica) nominator(t *testing.T) (*nomination.Nominator, *prometheus.Registry) {
	config, err := clientcmd.BuildConfigFromFlags("", r.kubeconfig)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	factory, results := informers.NewSharedInformerFactoryWithOptions(r.client, 0, informers.WithTransform(older)), prometheus.NewRegistry()
	require.NoError(t, factory.Core().V1().Pods().Informer().AddIndexers(nodemeta.PodsByNode))
	nominator := nomination.New(nomination.Options{Plan: plan.New(clock.RealClock{}), Client: client,
		Nodes: factory.Core().V1().Nodes().Informer(), Pods: factory.Core().V1().Pods().Informer(),
		Group:  func(node *corev1.Node) (_, _ string) { return node.Name, node.Name },
		Events: record.NewFakeRecorder(1000), ReadyTime: patience, Registerer: results, Clock: clock.RealClock{}})
	ctx, cancel := context.WithCancel(t.Context())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ended := make(chan error, 1)
	go func() { ended <- nominator.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended); factory.Shutdown() })
	return nominator, results
}

// registers makes a node with two CPUs that is not Ready, as a kubelet does. It takes no pods until takesPods.
func (r *replica) registers(t *testing.T, name, label string) {
	resources := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("20")}
	nodes := r.client.CoreV1().Nodes()
	_, err := nodes.Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"planned": label}, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake", notReady: "true"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: isStarting, Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{Capacity: resources, Allocatable: resources, // without the condition the controller manager would untaint the node
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = nodes.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
}

func (r *replica) becomesReady(t *testing.T, node string) {
	_, err := r.client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, notReady), metav1.PatchOptions{})
	require.NoError(t, err)
}

// takesPods lifts all taints of a Ready node.
func (r *replica) takesPods(t *testing.T, node string) {
	_, err := r.client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
}

// awaitPods waits until each pod has the value that is wanted.
func (r *replica) awaitPods(t *testing.T, value func(*corev1.Pod) string, want map[string]string) {
	eventually(t, func(ctx context.Context) string {
		for name, wanted := range want {
			pod, err := r.client.CoreV1().Pods(r.name).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err.Error()
			}
			if got := value(pod); got != wanted {
				return fmt.Sprintf("pod %s has %q, want %q", name, got, wanted)
			}
		}
		return ""
	})
}

// awaitResult waits until so many nominations ended with the result.
func awaitResult(t *testing.T, results *prometheus.Registry, result string, want float64) {
	eventually(t, func(context.Context) string {
		families, err := results.Gather()
		require.NoError(t, err)
		text := ""
		for _, metric := range families[0].Metric {
			if metric.Label[0].GetValue() == result && metric.Counter.GetValue() == want {
				return ""
			}
			text += fmt.Sprintf(" %s %v", metric.Label[0].GetValue(), metric.Counter.GetValue())
		}
		return fmt.Sprintf("want %s %v, got%s", result, want, text)
	})
}
