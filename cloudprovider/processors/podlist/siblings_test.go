package podlist

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

func TestSiblingsOfUnschedulablePodsArePending(t *testing.T) {
	now := time.Unix(1000, 0)
	clock := testingclock.NewFakePassiveClock(now)
	of := func(controller string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.UID, p.Status.Phase, p.Spec.SchedulerName, p.CreationTimestamp = types.UID(p.Name), corev1.PodPending, corev1.DefaultSchedulerName, metav1.NewTime(now)
			p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", UID: types.UID(controller), Controller: ptr.To(true)}}
		}
	}
	gate := func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "queue"}} }
	held := func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-judgeTime - time.Second)) }
	otherScheduler := func(p *corev1.Pod) { p.Spec.SchedulerName = "queues" }
	claims := func(made ...string) func(*corev1.Pod) { // devices, and those that are made
		return func(p *corev1.Pod) {
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "shared", ResourceClaimName: ptr.To("gpu")},
				{Name: "own", ResourceClaimTemplateName: ptr.To("gpu")}}
			for _, name := range made {
				p.Status.ResourceClaimStatuses = append(p.Status.ResourceClaimStatuses, corev1.PodResourceClaimStatus{Name: name})
			}
		}
	}
	ephemeral := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
	}
	volumes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	require.NoError(t, volumes.Add(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "made-scratch"}}))
	leaving := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }
	condition := func(status corev1.ConditionStatus, reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: status, Reason: reason}}
		}
	}
	judged := pod("judged", "", of("web"), condition(corev1.ConditionFalse, corev1.PodReasonUnschedulable))
	gang, placed := func(p *corev1.Pod) { p.Spec.SchedulerName = "volcano" }, condition(corev1.ConditionFalse, "Schedulable")
	lacking := pod("lacking", "", of("gang"), gang, condition(corev1.ConditionFalse, corev1.PodReasonUnschedulable))
	alone := func(p *corev1.Pod) { of("")(p); p.OwnerReferences = nil }
	bypassed := pod("bypassed", "", of("web")) // as the core lists it for --bypassed-scheduler-names
	for _, tt := range []struct {
		name         string
		pending, all []*corev1.Pod
		want         []string
	}{
		{"siblings", []*corev1.Pod{judged}, []*corev1.Pod{judged, pod("a", "", of("web")), pod("b", "", of("web")), pod("other", "", of("batch")), pod("alone", "", alone)},
			[]string{"judged", "a", "b"}},
		{"a sibling that was judged after the core made its list", []*corev1.Pod{judged}, []*corev1.Pod{judged,
			pod("late", "", of("web"), condition(corev1.ConditionFalse, corev1.PodReasonUnschedulable))}, []string{"judged", "late"}},
		{"siblings that need no node", []*corev1.Pod{judged}, []*corev1.Pod{judged, pod("bound", "node-1", of("web")), pod("leaving", "", of("web"), leaving),
			pod("gated", "", of("web"), gate, condition(corev1.ConditionFalse, corev1.PodReasonSchedulingGated))}, []string{"judged"}},
		{"a sibling whose gates have just gone", []*corev1.Pod{judged}, []*corev1.Pod{judged,
			pod("ungated", "", of("web"), held, condition(corev1.ConditionFalse, corev1.PodReasonSchedulingGated))}, []string{"judged", "ungated"}},
		{"siblings that something holds back", []*corev1.Pod{judged}, []*corev1.Pod{judged, pod("held", "", of("web"), held), pod("queued", "", of("web"), otherScheduler)},
			[]string{"judged"}},
		{"pods of a gang that Volcano has places for, while it lacks others", []*corev1.Pod{lacking}, []*corev1.Pod{lacking,
			pod("placed", "", of("gang"), gang, held, placed), pod("bound", "node-1", of("gang"), gang, placed), pod("unjudged", "", of("gang"), gang),
			pod("complete", "", of("batch"), gang, placed)}, []string{"lacking", "placed"}},
		{"a planned pod after its last sibling got a node", nil, []*corev1.Pod{pod("planned", "", of("web"), held), pod("bound", "node-1", of("web"))}, []string{"planned"}},
		{"siblings without their own claims", []*corev1.Pod{judged}, []*corev1.Pod{judged, pod("unclaimed", "", of("web"), claims()),
			pod("claimed", "", of("web"), claims("own")), pod("unmade", "", of("web"), ephemeral), pod("made", "", of("web"), ephemeral)},
			[]string{"judged", "claimed", "made"}},
		{"siblings that count already", []*corev1.Pod{judged, bypassed}, []*corev1.Pod{judged, bypassed}, []string{"judged", "bypassed"}},
		{"a pod alone", []*corev1.Pod{pod("first", "", alone)}, []*corev1.Pod{pod("first", "", alone), pod("second", "", alone)}, []string{"first"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := &cacontext.AutoscalingContext{AutoscalingKubeClients: cacontext.AutoscalingKubeClients{
				ListerRegistry: kubeutil.NewListerRegistry(nil, nil, kubeutil.NewTestPodLister(tt.all), nil, nil, nil, nil, nil, nil)}}
			siblings := Siblings{Claims: corelisters.NewPersistentVolumeClaimLister(volumes), Clock: clock, Plan: plan.New(clock)}
			siblings.Plan.Add(planned("a", "", pod("planned", "", of("web"))))
			got, err := siblings.Process(ctx, tt.pending)
			require.NoError(t, err)
			var names []string
			for _, p := range got {
				names = append(names, p.Name)
			}
			assert.Empty(t, cmp.Diff(tt.want, names), "pending pods (-want +got)")
		})
	}
}
