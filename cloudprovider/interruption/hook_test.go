package interruption_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Such a tool may need a minute to copy logs off the instance, and completes its hook then.
func TestHookOfAnotherToolIsLeftToIt(t *testing.T) {
	g := hooked(scalingGroup(0, 2, 5))
	g.LifecycleHooks[0].Name = "copy-logs"
	inBubble(g, func(t *testing.T, w *world) {
		w.running()
		require.NoError(t, w.cache.Terminate(t.Context(), "spot", w.inService()[:1]))
		w.wait("its message is dropped", func() bool { return w.handled()["other-hook lifecycle-terminate"] == 1 })
		time.Sleep(9 * time.Minute)
		calls := w.aws.Calls()
		assert.Zero(t, calls["CompleteLifecycleAction"]+calls["RecordLifecycleActionHeartbeat"], "calls for the hook of another tool")
	})(t)
}

func TestHookTimeoutIsTheTimeOfItsDrain(t *testing.T) {
	const lookUp = "DescribeLifecycleHooks"
	const action = "autoscaling:" + lookUp
	for _, tt := range []struct {
		name, without string
		timeout, want time.Duration
		fault         fakeaws.Fault
		again         bool // the message comes again and then to another leader
	}{
		{name: "longer than ten minutes", timeout: 20 * time.Minute, want: 20 * time.Minute},
		{name: "that AWS is slow to state", timeout: 20 * time.Minute, want: 20 * time.Minute,
			fault: fakeaws.Fault{Action: lookUp, Latency: ms(9_000)}},
		{name: "that AWS cannot state at first", timeout: 20 * time.Minute, want: 20 * time.Minute,
			fault: fakeaws.Fault{Action: lookUp, Code: "InternalFailure", Status: 500, For: ms(30_000)}},
		{name: "of a message that comes again", again: true, timeout: 20 * time.Minute, want: 20 * time.Minute},
		{name: "extended by heartbeats", timeout: time.Minute, want: 10 * time.Minute},
		{name: "unknown", without: action, timeout: 20 * time.Minute, want: 10 * time.Minute},
	} {
		t.Run(tt.name, inBubble(within(tt.timeout, hooked(scalingGroup(0, 1, 5))), func(t *testing.T, w *world) {
			w.policed(tt.without)
			w.refused.Store(true)
			if tt.fault.Action != "" {
				w.aws.Inject(tt.fault)
			}
			id, stop := w.inService()[0], w.running()
			began := time.Now()
			require.NoError(t, w.aws.SetDesired("spot", 0))
			time.Sleep(900 * time.Millisecond)
			assert.Equal(t, 1, w.cordoned(), "nodes cordoned within a second")
			time.Sleep(90 * time.Second)
			var said struct{ Deadline time.Time }
			require.NoError(t, json.Unmarshal([]byte(w.nodes()[id].Annotations[interruption.Taint]), &said))
			assert.WithinDuration(t, began.Add(tt.want), said.Deadline, 2*time.Second, "the deadline on the node")
			if tt.again {
				w.send(hookMessage(id, time.Now()))
				time.Sleep(3 * time.Minute)
				stop()
				w.running()
			}
			w.within(tt.want+time.Minute, "the pod is deleted against its budget", func() bool {
				calls := w.pods.Calls()
				return len(calls) > 0 && calls[len(calls)-1].Verb == "delete"
			})
			if took := time.Since(began); took < tt.want-15*time.Second || took > tt.want {
				t.Errorf("it is deleted after %v, want shortly before %v are over", took, tt.want)
			}
			if tt.without != "" {
				w.denied(action)
				assert.Len(t, w.aws.Denials(), 1, "look-ups that were denied")
			}
		}))
	}
}

// Heartbeats keep its instance. A pod that a budget holds gets no more time.
func TestEvictedPodOutlastsTheTimeoutOfItsHook(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		timeout, grace, until time.Duration
		again                 bool                   // another leader takes the drain over
		ready                 corev1.ConditionStatus // of the node
	}{
		{name: "by its grace", timeout: 10 * time.Minute, grace: 30 * time.Minute, until: 31 * time.Minute},
		{name: "by its grace, while the node is not Ready", ready: corev1.ConditionFalse, timeout: 10 * time.Minute, grace: 30 * time.Minute, until: 31 * time.Minute},
		{name: "under the next leader", again: true, timeout: 10 * time.Minute, grace: 30 * time.Minute, until: 31 * time.Minute},
		{name: "as long as AWS waits", timeout: 30 * time.Second, grace: 2 * time.Hour, until: 50 * time.Minute},
	} {
		t.Run(tt.name, inBubble(within(tt.timeout, hooked(scalingGroup(0, 1, 5))), func(t *testing.T, w *world) {
			w.pods.Grace = nil
			id := w.inService()[0]
			w.create("slow", func(p *corev1.Pod) {
				p.Spec.NodeName, p.Status.Phase = w.nodes()[id].Name, corev1.PodRunning
				p.Spec.TerminationGracePeriodSeconds = ptr.To(int64(tt.grace.Seconds()))
			})
			if tt.ready != "" {
				w.setReady(id, tt.ready)
			}
			stop, began := w.running(), time.Now()
			require.NoError(t, w.aws.SetDesired("spot", 0))
			time.Sleep(5 * time.Minute)
			w.refused.Store(true)
			w.run(id, "held")
			if tt.again {
				stop()
				w.running()
			}
			var said struct{ Deadline time.Time }
			require.NoError(t, json.Unmarshal([]byte(w.nodes()[id].Annotations[interruption.Taint]), &said))
			assert.WithinDuration(t, began.Add(tt.until), said.Deadline, 2*time.Second, "the deadline on the node")
			w.within(time.Hour, "the instance gone", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 0 })
			if took := time.Since(began); took < min(tt.grace, tt.until)-time.Second || took > tt.until+10*time.Second {
				t.Errorf("the instance went after %v, want between the end of the pod's grace of %v and %v", took, tt.grace, tt.until)
			}
			calls := w.pods.Calls()
			last := calls[len(calls)-1]
			assert.Equal(t, "delete held", last.Verb+" "+last.Pod, "the last call")
			assert.WithinDuration(t, began.Add(10*time.Minute), last.At, 15*time.Second, "the deletion against the budget")
		}))
	}
}

func TestHookIsCompletedAfterFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
	}{
		{"credentials that expired", fakeaws.Fault{Times: 1, Code: "InvalidClientTokenId", Status: 403}},
		{"a fault of AWS for two minutes", fakeaws.Fault{For: fakeaws.Duration(2 * time.Minute), Code: "InternalFailure", Status: 500}},
	} {
		t.Run(tt.name, inBubble(hooked(scalingGroup(0, 1, 5)), func(t *testing.T, w *world) {
			w.running()
			tt.fault.Action = "CompleteLifecycleAction"
			w.aws.Inject(tt.fault)
			require.NoError(t, w.aws.SetDesired("spot", 0))
			w.within(5*time.Minute, "the instance gone", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 0 })
			w.waitEmptyQueue()
		}))
	}
}

type slowGroups struct{ *asg.Cache }

func (s slowGroups) Reread(ctx context.Context, name string) (*group.Group, error) {
	time.Sleep(33 * time.Second)
	return s.Cache.Reread(ctx, name)
}

type slowHooks struct{ awsclient.Hooks }

func (s slowHooks) DescribeLifecycleHooks(ctx context.Context, in *autoscaling.DescribeLifecycleHooksInput,
	o ...func(*autoscaling.Options)) (*autoscaling.DescribeLifecycleHooksOutput, error) {
	time.Sleep(33 * time.Second)
	return s.Hooks.DescribeLifecycleHooks(ctx, in, o...)
}

func TestShortHookOutlastsItsReadings(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		shown string // the state of the instance by old readings
		slow  bool   // answers come after the SDK's third try
	}{
		{name: "that fail", fault: fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "InternalFailure"}},
		{name: "that are slow", fault: fakeaws.Fault{Action: "none"}, slow: true},
		{name: "that are old", fault: fakeaws.Fault{Action: "none"}, shown: "InService"},
	} {
		t.Run(tt.name, inBubble(within(30*time.Second, hooked(scalingGroup(0, 1, 5))), func(t *testing.T, w *world) {
			l := &leaving{Cache: w.cache, instance: w.inService()[0]}
			w.run(l.instance, "a")
			w.refused.Store(true)
			l.state.Store(tt.shown)
			w.running(func(o *interruption.Options) {
				if o.Groups = l; tt.slow {
					o.Groups, o.Hooks = slowGroups{w.cache}, slowHooks{o.Hooks}
				}
			})
			w.aws.Inject(tt.fault)
			require.NoError(t, w.aws.SetDesired("spot", 0))
			time.Sleep(100 * time.Second)
			g, _ := w.aws.Group("spot")
			require.Len(t, g.Instances, 1, "instances that wait for their hook")
			w.refused.Store(false)
			w.aws.ClearFaults()
			l.state.Store("")
			w.waitTerminated(l.instance)
			assert.Equal(t, 1, w.evictions("a"), "evictions")
		}))
	}
}

// The last leader's last heartbeat is some time ago.
func TestShortHookOutlastsAChangeOfLeader(t *testing.T) {
	inBubble(within(30*time.Second, hooked(scalingGroup(0, 1, 5))), func(t *testing.T, w *world) {
		id := w.inService()[0]
		w.run(id, "a")
		w.refused.Store(true)
		require.NoError(t, w.aws.SetDesired("spot", 0))
		time.Sleep(20 * time.Second)
		w.running()
		time.Sleep(time.Minute)
		w.refused.Store(false)
		w.waitTerminated(id)
		assert.Equal(t, 1, w.evictions("a"), "evictions")
	})(t)
}

// SQS drops a message at the end of its retention, hidden or not. Nothing else has the autoscaler complete the hook.
func TestHookIsCompletedAfterItsMessageIsGone(t *testing.T) {
	inBubble(within(30*time.Minute, hooked(scalingGroup(0, 1, 5))), func(t *testing.T, w *world) {
		require.NoError(t, w.aws.SetQueue(fakeaws.Queue{Name: queueName, Events: []string{"*"}, Retention: fakeaws.Duration(5 * time.Minute)}))
		id := w.inService()[0]
		w.run(id, "a")
		w.refused.Store(true)
		w.running()
		require.NoError(t, w.aws.SetDesired("spot", 0))
		time.Sleep(15 * time.Minute)
		w.refused.Store(false)
		w.waitTerminated(id)
		assert.Equal(t, 1, w.aws.Calls()["CompleteLifecycleAction"], "completions")
	})(t)
}

// AWS throttles a call for each.
func TestHooksOfManyInstancesShareTheirReadings(t *testing.T) {
	const instances = 90
	for name, end := range map[string]func(t *testing.T, w *world){
		"ended by us": func(t *testing.T, w *world) {
			require.NoError(t, w.cache.Terminate(t.Context(), "spot", w.inService()))
		},
		"ended by Auto Scaling": func(t *testing.T, w *world) { require.NoError(t, w.aws.SetDesired("spot", 0)) },
	} {
		t.Run(name, inBubble(hooked(scalingGroup(0, instances, instances)), func(t *testing.T, w *world) {
			for id, node := range w.nodes() {
				w.create("of-"+id, func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = node.Name, corev1.PodRunning })
			}
			w.running()
			w.aws.ResetCalls()
			end(t, w)
			began := time.Now()
			w.wait("all instances gone", func() bool { g, _ := w.aws.Group("spot"); return len(g.Instances) == 0 })
			most := 10 + int(time.Since(began)/(2*time.Second)) // the Cache itself reads a group in motion every two seconds
			calls := w.aws.Calls()
			assert.LessOrEqual(t, calls["DescribeAutoScalingGroups"], most, "readings of the group")
			assert.LessOrEqual(t, calls["DescribeLifecycleHooks"], 10, "look-ups of the hook")
			assert.Equal(t, instances, calls["CompleteLifecycleAction"], "completed actions")
		}))
	}
}

// An instance that leaves the warm pool waits for the hook, and readings of the group do not show it.
func TestHookOfAnInstanceBesideTheGroup(t *testing.T) {
	for _, tt := range []struct {
		name, group, want string
		node, pod         bool
		code              string // with which AWS answers to a completion
		completions       int
	}{
		{name: "gone, or of another account's group of that name", group: "spot", want: "left-to-others", completions: 1},
		{name: "the same, and its empty node is left", group: "spot", want: "left-to-others", node: true, completions: 1},
		{name: "gone, and the call is denied", group: "spot", want: "no-node", code: "AccessDenied", completions: 1},
		{name: "gone, and the endpoint lacks the call", group: "spot", want: "no-node", code: "InvalidAction", completions: 1},
		{name: "detached", group: "spot", want: "stale", node: true, pod: true},
		{name: "of another cluster", group: "theirs", want: "left-to-others"},
	} {
		t.Run(tt.name, inBubble(hooked(scalingGroup(0, 1, 5)), func(t *testing.T, w *world) {
			const beside = "i-0aaaaaaaaaaaaaaaa"
			if tt.node {
				w.register(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "beside"}, Spec: corev1.NodeSpec{ProviderID: "aws:///" + zone + "/" + beside}})
			}
			if tt.pod {
				w.create("on-beside", func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = "beside", corev1.PodRunning })
			}
			w.running()
			if tt.code != "" {
				w.aws.Inject(fakeaws.Fault{Action: "CompleteLifecycleAction", Code: tt.code})
			}
			w.send(strings.Replace(hookMessage(beside, time.Now()), `"spot"`, fmt.Sprintf("%q", tt.group), 1))
			w.wait("handled", func() bool { return w.handled()[tt.want+" lifecycle-terminate"] > 0 })
			assert.Equal(t, tt.completions, w.aws.Calls()["CompleteLifecycleAction"], "completions")
			time.Sleep(5 * time.Minute) // its owner may start again meanwhile
			q := w.aws.Queues()[0]
			assert.Equal(t, tt.want == "left-to-others", q.Visible+q.InFlight+q.Delayed == 1, "the message is kept for others")
			w.within(31*time.Minute, "an empty queue", func() bool { q := w.aws.Queues()[0]; return q.Visible+q.InFlight+q.Delayed == 0 })
		}))
	}
}

func TestHookOfAnInstanceInTheWarmPoolIsCompleted(t *testing.T) {
	for name, node := range map[string]bool{"before it joins": false, "once warmed": true} {
		t.Run(name, inBubble(hooked(scalingGroup(0, 1, 5)), func(t *testing.T, w *world) {
			l := &leaving{Cache: w.cache, instance: w.inService()[0]}
			l.state.Store("Warmed:Pending:Wait")
			if !node {
				w.unregister(l.instance)
			}
			w.running(func(o *interruption.Options) { o.Groups = l })
			require.NoError(t, w.aws.SetDesired("spot", 0))
			w.waitTerminated(l.instance)
			w.wait("handled", func() bool { return w.handled()["no-node lifecycle-terminate"] == 1 })
			w.waitEmptyQueue()
			assert.Equal(t, 1, w.aws.Calls()["CompleteLifecycleAction"], "completions")
		}))
	}
}
