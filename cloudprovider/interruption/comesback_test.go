package interruption_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/podserver"
)

// tolerates makes a pod tolerate every taint, as the pods of many operators do. Its empty node suits kube-scheduler best.
func tolerates(p *corev1.Pod) {
	p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
}

// returns keeps one pod of a ReplicaSet on the node of an instance: the next one is there as soon as one ends. The API server's clock
// is behind ours. The result returns the evictions of these pods, and of which pods.
func (w *world) returns(instance string, behind time.Duration, change func(*corev1.Pod)) (evictions func() (all int, pods map[string]int)) {
	node, name, n := w.nodes()[instance].Name, "", 0
	next := func() {
		n, name = n+1, fmt.Sprintf("op-%d", n+1)
		w.create(name, owned, change, func(p *corev1.Pod) {
			p.Spec.NodeName, p.Status.Phase = node, corev1.PodRunning
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			p.CreationTimestamp.Time = time.Now().Add(-behind).Truncate(time.Second)
		})
	}
	next()
	time.Sleep(time.Minute)
	w.background(func(ctx context.Context) error {
		for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			if o, err := w.cluster.Tracker().Get(podserver.Pods, "default", name); err != nil || o.(*corev1.Pod).DeletionTimestamp != nil {
				next()
			}
		}
		return nil
	})
	return func() (all int, pods map[string]int) {
		pods = map[string]int{}
		for _, call := range w.pods.Calls() {
			pods[call.Pod]++
			all++
		}
		return all, pods
	}
}

// Such a pod would be evicted without end, and its node never be empty.
func TestPodThatComesBackToItsCordonedNodeStays(t *testing.T) {
	warned := func(id string) string { return warning(id, time.Now()) }
	boundByAnother := func(*corev1.Pod) {} // one that sets spec.nodeName
	for _, tt := range []struct {
		name    string
		message func(id string) string
		pod     func(*corev1.Pod)
		behind  time.Duration
		most    int // evictions
		outcome string
	}{
		{name: "a warning", message: warned, pod: tolerates, most: 2, outcome: "drained spot-interruption"},
		{name: "a recommendation", message: advised, pod: tolerates, most: 2, outcome: "drained rebalance-recommendation"},
		{name: "a reboot in a day", message: later("REBOOT_MAINTENANCE", 24*time.Hour), pod: tolerates, most: 2, outcome: "drained scheduled-change"},
		{name: "a retirement in a week", message: later("RETIREMENT", 7*24*time.Hour), pod: tolerates, most: 2, outcome: "drained scheduled-change"},
		{name: "the API server's clock is behind", message: advised, pod: tolerates, behind: 5 * time.Minute, most: 2,
			outcome: "drained rebalance-recommendation"},
		{name: "another controller binds it", message: advised, pod: boundByAnother, most: 11, outcome: "drained rebalance-recommendation"},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			w.silent()
			w.grace.Store(5000)
			id := w.inService()[0]
			evictions := w.returns(id, tt.behind, tt.pod)
			w.running(drainOnRebalance)
			w.send(tt.message(id))
			w.within(3*time.Minute, "terminated", func() bool { return w.terminations() == 1 })
			w.waitEmptyQueue()
			all, pods := evictions()
			assert.Truef(t, 1 <= all && all <= tt.most, "%d evictions, want 1 to %d: %v", all, tt.most, pods)
			assert.Equal(t, map[string]int{tt.outcome: 1}, w.handled())
		}))
	}
}

// Each try to end the instance looks at the node again.
func TestPodThatCameBackStaysWhileAWSRefusesToEndItsInstance(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.silent()
		id := w.inService()[0]
		evictions := w.returns(id, 0, tolerates)
		w.aws.Inject(fakeaws.Fault{Action: "TerminateInstanceInAutoScalingGroup", Code: "AccessDenied"})
		w.running()
		w.send(later("RETIREMENT", 7*24*time.Hour)(id))
		time.Sleep(time.Hour)
		all, pods := evictions()
		assert.LessOrEqualf(t, all, 2*w.terminations(), "evictions %v", pods)
		assert.Greater(t, w.terminations(), 10)
	})(t)
}

// A reboot of our own ends no instance.
func TestPodThatComesBackDelaysNoReboot(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.versioned()
		w.silent()
		id := w.inService()[0]
		evictions := w.returns(id, 0, tolerates)
		w.running()
		w.toReboot(id, 0)
		w.within(time.Minute, "a reboot", func() bool { return w.reboots() == 1 })
		all, pods := evictions()
		assert.LessOrEqualf(t, all, 2, "evictions %v", pods)
	})(t)
}

// A node that takes pods gets the next ones of any controller, and they have their grace.
func TestPodThatComesBackToANodeThatTakesPodsIsEvicted(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.silent()
		id := w.inService()[0]
		evictions := w.returns(id, 0, func(*corev1.Pod) {})
		c := &hanging{Interface: w.cluster}
		c.first.Store(1000)
		w.running(func(o *interruption.Options) { o.Cordons = c })
		w.send(warning(id, time.Now()))
		time.Sleep(time.Minute)
		all, pods := evictions()
		require.Greaterf(t, all, 10, "evictions %v", pods)
		assert.NotContains(t, w.nodes()[id].Annotations, interruption.Taint)
	})(t)
}
