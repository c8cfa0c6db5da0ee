package loop

import (
	"testing"
	"testing/synctest"
	"time"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/stretchr/testify/assert"
)

func TestNodeThatTakesPodsAgainWakesLoop(t *testing.T) {
	node := func(ready bool, taints ...apiv1.Taint) *apiv1.Node {
		status := apiv1.ConditionFalse
		if ready {
			status = apiv1.ConditionTrue
		}
		return &apiv1.Node{Spec: apiv1.NodeSpec{Taints: taints},
			Status: apiv1.NodeStatus{Conditions: []apiv1.NodeCondition{{Type: apiv1.NodeReady, Status: status}}}}
	}
	taint := func(key string, effect apiv1.TaintEffect) apiv1.Taint { return apiv1.Taint{Key: key, Effect: effect} }
	startup := taint("startup-taint.cluster-autoscaler.kubernetes.io/cni", apiv1.TaintEffectNoSchedule)
	team := taint("team", apiv1.TaintEffectNoExecute)
	for _, tt := range []struct {
		name     string
		old, now *apiv1.Node
		want     WakeReason
	}{
		{"is Ready", node(false), node(true), NodeChanged},
		{"is no longer Ready", node(true), node(false), ScanInterval},
		{"stays Ready", node(true, team), node(true, team), ScanInterval},
		{"its startup taint is gone", node(true, startup, team), node(true, team), NodeChanged},
		{"its startup taint is gone before it is Ready", node(false, startup), node(false), ScanInterval},
		{"has a taint more", node(true), node(true, team), ScanInterval},
		{"its taint has another value", node(true, team), node(true, apiv1.Taint{Key: "team", Value: "web", Effect: team.Effect}), ScanInterval},
		{"its removal failed", node(true, taint(taints.ToBeDeletedTaint, apiv1.TaintEffectNoSchedule)), node(true), ScanInterval},
		{"is needed again", node(true, taint(taints.DeletionCandidateTaintKey, apiv1.TaintEffectPreferNoSchedule)), node(true), ScanInterval},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectAfter(t, tt.want, func(trigger *Trigger) { trigger.NodeHandler().OnUpdate(tt.old, tt.now) })
		})
	}
}

func TestNodeThatBecomesEmptyWakesLoop(t *testing.T) {
	pod := func(name string, change func(*apiv1.Pod)) *apiv1.Pod {
		p := newPod(name)
		p.Spec.NodeName = "node-1"
		if change != nil {
			change(p)
		}
		return p
	}
	phase := func(phase apiv1.PodPhase) func(*apiv1.Pod) { return func(p *apiv1.Pod) { p.Status.Phase = phase } }
	daemon := pod("daemon", func(p *apiv1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Controller: ptr.To(true)}}
	})
	static := pod("static", func(p *apiv1.Pod) { p.Annotations = map[string]string{apiv1.MirrorPodAnnotationKey: ""} })
	web, other, waiting := pod("web", nil), pod("other", nil), newPod("web")
	for _, tt := range []struct {
		name   string
		before []*apiv1.Pod // that exist
		leave  func(cache.ResourceEventHandler)
		want   WakeReason
	}{
		{"its only pod is deleted", []*apiv1.Pod{web}, func(h cache.ResourceEventHandler) { h.OnDelete(web) }, NodeChanged},
		{"the deletion was missed", []*apiv1.Pod{web}, func(h cache.ResourceEventHandler) { h.OnDelete(cache.DeletedFinalStateUnknown{Obj: web}) }, NodeChanged},
		{"its only pod ends", []*apiv1.Pod{web}, func(h cache.ResourceEventHandler) { h.OnUpdate(web, pod("web", phase(apiv1.PodSucceeded))) }, NodeChanged},
		{"a pod is left", []*apiv1.Pod{web, other}, func(h cache.ResourceEventHandler) { h.OnDelete(web) }, ScanInterval},
		{"both pods are deleted", []*apiv1.Pod{web, other}, func(h cache.ResourceEventHandler) { h.OnDelete(web); h.OnDelete(other) }, NodeChanged},
		{"a pod of a DaemonSet is left", []*apiv1.Pod{web, daemon, static}, func(h cache.ResourceEventHandler) { h.OnDelete(web) }, NodeChanged},
		{"a pod of a DaemonSet is deleted", []*apiv1.Pod{daemon}, func(h cache.ResourceEventHandler) { h.OnDelete(daemon) }, ScanInterval},
		{"a pod changes", []*apiv1.Pod{web}, func(h cache.ResourceEventHandler) { h.OnUpdate(web, pod("web", phase(apiv1.PodRunning))) }, ScanInterval},
		{"a pod that ended is deleted", nil, func(h cache.ResourceEventHandler) { h.OnDelete(pod("web", phase(apiv1.PodFailed))) }, ScanInterval},
		{"a pod without a node is deleted", []*apiv1.Pod{waiting}, func(h cache.ResourceEventHandler) { h.OnDelete(waiting) }, ScanInterval},
		{"a pod gets the node and leaves it", []*apiv1.Pod{waiting}, func(h cache.ResourceEventHandler) { h.OnUpdate(waiting, web); h.OnDelete(web) }, NodeChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectAfter(t, tt.want, func(trigger *Trigger) {
				store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nodemeta.PodsByNode)
				trigger.config.PodsOn = func(node string) []*apiv1.Pod { return nodemeta.PodsOn(store, node) }
				for _, p := range tt.before {
					assert.NoError(t, store.Add(p))
				}
				tt.leave(cache.ResourceEventHandlerFuncs{ // as an informer does
					UpdateFunc: func(before, after any) {
						assert.NoError(t, store.Update(after))
						trigger.EmptiedHandler().OnUpdate(before, after)
					},
					DeleteFunc: func(pod any) {
						assert.NoError(t, store.Delete(nodemeta.LastState(pod)))
						trigger.EmptiedHandler().OnDelete(pod)
					}})
			})
		})
	}
}

// changeNode has a node become Ready.
func changeNode(trigger *Trigger) {
	trigger.NodeHandler().OnUpdate(&apiv1.Node{}, &apiv1.Node{Status: apiv1.NodeStatus{
		Conditions: []apiv1.NodeCondition{{Type: apiv1.NodeReady, Status: apiv1.ConditionTrue}}}})
}

func TestNodesThatChangeTogetherWakeOneLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		for _, at := range every(400*time.Millisecond, time.Second, 1800*time.Millisecond) {
			time.AfterFunc(at, func() { changeNode(trigger) })
		}
		expect(t, trigger, NodeChanged, 2300*time.Millisecond)
		expect(t, trigger, ScanInterval, 10*time.Second)

		for _, at := range every(400*time.Millisecond, 0, 3*time.Second) {
			time.AfterFunc(at, func() { changeNode(trigger) })
		}
		expect(t, trigger, NodeChanged, 2*time.Second)
	})
}

// On a large cluster a loop takes long, and nodes change all the time.
func TestLoopsForNodesTakeLittleOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		time.Sleep(300 * time.Millisecond) // the loop
		changeNode(trigger)
		time.AfterFunc(time.Second, func() { changeNode(trigger) })
		expect(t, trigger, NodeChanged, nodeRest*300*time.Millisecond)

		time.Sleep(300 * time.Millisecond)
		changeNode(trigger)
		time.AfterFunc(time.Second, func() { becomes(trigger, "web") })
		expect(t, trigger, PodsPending, 1050*time.Millisecond)
		expect(t, trigger, ScanInterval, 10*time.Second)

		time.Sleep(2 * time.Second)
		changeNode(trigger)
		expect(t, trigger, ScanInterval, 10*time.Second)
	})
}

func TestPodThatLostItsPlaceWakesRestingLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := started(t, settings)
		time.Sleep(time.Second) // the loop took a second, so changes of nodes wait for 19
		time.AfterFunc(2*time.Second, trigger.PodLostPlace)
		expect(t, trigger, NodeChanged, 2500*time.Millisecond)
		time.Sleep(time.Second)
		time.AfterFunc(2*time.Second, func() { changeNode(trigger) })
		expect(t, trigger, ScanInterval, settings.ScanInterval)
	})
}
