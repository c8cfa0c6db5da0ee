package interruption_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func stateChange(instance, state string) string {
	return fmt.Sprintf(`{"id":"s-%s","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",`+
		`"detail":{"instance-id":%q,"state":%q}}`, state, instance, state)
}

// An operator stops an instance, and has suspended a process without which Auto Scaling does not replace it.
func TestStoppedInstanceThatAWSKeepsIsOnlyDrained(t *testing.T) {
	for _, process := range []string{"HealthCheck", "ReplaceUnhealthy", "Terminate"} {
		t.Run(process, func(t *testing.T) {
			g := scalingGroup(0, 2, 5)
			g.SuspendedProcesses = []string{process}
			inUse(g, func(t *testing.T, w *world, stopped string) {
				w.running()
				w.send(stateChange(stopped, "stopping"))
				w.waitEmptyQueue()
				w.send(stateChange(stopped, "stopped"))
				w.waitEmptyQueue()
				assert.Truef(t, w.terminations() == 0 && w.desired() == 2 && w.evictions("a") == 1 && w.nodes()[stopped].Spec.Unschedulable,
					"%d terminations, desired %d, %d evictions, want a drained node alone", w.terminations(), w.desired(), w.evictions("a"))
			})(t)
		})
	}
}

// EC2 says that it ends a moment before Auto Scaling does.
func TestFailedLaunchIsLeftToAWSWhichSaysWhy(t *testing.T) {
	inBubble(scalingGroup(0, 1, 5), func(t *testing.T, w *world) {
		w.silent()
		w.aws.AddShortage(fakeaws.Shortage{Group: "spot", Dies: ms(10_000)})
		w.running()
		require.NoError(t, w.cache.Increase(t.Context(), "spot", 1))
		var starting string
		w.wait("a starting instance in a reading", func() bool {
			for _, i := range w.cache.Snapshot().Group("spot").Instances {
				if i.Lifecycle.Starting() {
					starting = i.ID
				}
			}
			return starting != ""
		})
		w.send(stateChange(starting, "shutting-down"))
		w.waitEmptyQueue()
		assert.Zero(t, w.terminations(), "terminations, which would hide the failed launch")
		w.wait("why it died", func() bool {
			_, cooling := w.cache.CoolDown(w.cache.Snapshot().Group("spot"))
			return cooling
		})
	})(t)
}

// Its boot script has shut it down, and Auto Scaling has yet to see that. A decrement would hide it from the core, which would launch the
// group again, for ever.
func TestInstanceThatEndsWithoutANodeIsLeftToAWS(t *testing.T) {
	for _, state := range []string{"stopping", "shutting-down"} {
		t.Run(state, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			w.silent()
			ends := w.inService()[0]
			w.unregister(ends)
			w.running()
			w.send(stateChange(ends, state))
			w.waitEmptyQueue()
			w.ended(0, 2, 0)
		}))
	}
}

// The last reading shows the instance in service. The core would ask for a node beside the one that AWS launches in its place.
func TestInstanceThatAutoScalingEndsIsReadBeforeItsDrain(t *testing.T) {
	g := hooked(scalingGroup(0, 1, 5))
	g.LifecycleHooks[0].Name = "copy-logs" // so that it takes a while
	inUse(g, func(t *testing.T, w *world, ends string) {
		leaves := make(chan bool, 1)
		w.running(func(o *interruption.Options) {
			o.Draining = func(string, string, string) {
				i, _ := w.cache.Snapshot().Instance(ends)
				leaves <- i != nil && i.Lifecycle.Leaving()
			}
		})
		last := w.cache.Snapshot().ReadAt
		w.within(2*time.Minute, "a reading", func() bool { return w.cache.Snapshot().ReadAt.After(last) })
		require.NoError(t, w.aws.SetDesired("spot", 0))
		w.send(stateChange(ends, "shutting-down"))
		assert.True(t, <-leaves, "the group counts on an instance that Auto Scaling replaces")
		w.wait("its pod is moved", func() bool { return w.evictions("a") == 1 })
		w.waitEmptyQueue()
		assert.Zero(t, w.terminations(), "terminations of an instance that is ending")
	})(t)
}

func TestInstanceThatEndsIsCordonedWhileItsGroupCannotBeRead(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, ends string) {
		w.running()
		w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Latency: fakeaws.Duration(25 * time.Second)})
		w.send(stateChange(ends, "shutting-down"))
		w.within(5*time.Second, "cordoned", func() bool { return w.cordoned() == 1 })
		w.aws.ClearFaults()
	})(t)
}

// An instance has registered again under another name, and its old Node object is still there.
func TestAllNodesOfAnInstanceAreDrained(t *testing.T) {
	for _, name := range []string{"aa-first", "zz-last"} {
		t.Run(name, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			w.silent()
			warned := w.inService()[0]
			w.run(warned, "a", "b")
			stale := w.nodes()[warned].DeepCopy()
			stale.Name, stale.UID = name, "stale"
			stale.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}}
			w.register(stale)
			w.create("c", func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = name, corev1.PodRunning })
			w.running()
			w.send(warning(warned, time.Now()))
			w.waitTerminated(warned)
			for _, pod := range []string{"a", "b", "c"} {
				assert.Equalf(t, 1, w.evictions(pod), "times pod %s was evicted before its instance ended", pod)
			}
			if old, err := w.cluster.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{}); err == nil && !old.Spec.Unschedulable {
				t.Error("the stale node is not cordoned")
			}
		}))
	}
}

// As many messages wait as the queue has handled at once.
func TestWaitingMessagesDoNotDelayWarnings(t *testing.T) {
	hook := func(id string) string { return hookMessage(id, time.Now()) }
	for _, tt := range []struct {
		name    string
		hook    bool
		fails   string // a call
		message func(n int, ids []string) string
	}{
		{name: "planned drains", message: func(n int, ids []string) string { return advised(ids[n%2]) }},
		{name: "lifecycle hooks", hook: true, message: func(_ int, ids []string) string { return hook(ids[0]) }},
		{name: "lifecycle hooks of unknown timeout", hook: true, fails: "DescribeLifecycleHooks",
			message: func(_ int, ids []string) string { return hook(ids[0]) }},
		{name: "lifecycle hooks, planned drains and other warnings", hook: true, message: func(n int, ids []string) string {
			return []func(string) string{hook, advised, func(id string) string { return warning(id, time.Now()) }}[n%3](ids[n%3])
		}},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 4, 5), func(t *testing.T, w *world) {
			w.silent()
			ids := w.inService()
			l := &leaving{Cache: w.cache, instance: ids[0]}
			if tt.hook {
				l.state.Store("Terminating:Wait")
			}
			for n := range 3 {
				w.run(ids[n], fmt.Sprint("held-", n))
			}
			w.refused.Store(true)
			if tt.fails != "" {
				w.aws.Inject(fakeaws.Fault{Action: tt.fails, Code: "InternalFailure", Status: 500})
			}
			w.running(drainOnRebalance, func(o *interruption.Options) { o.Groups = l })
			for n := range 3000 {
				w.send(tt.message(n, ids))
			}
			w.wait("all messages received", func() bool { return w.aws.Queues()[0].Visible == 0 })
			began := time.Now()
			w.send(warning(ids[3], began))
			w.wait("its node cordoned", func() bool { return w.nodes()[ids[3]].Spec.Unschedulable })
			w.waitTerminated(ids[3])
			assert.GreaterOrEqual(t, time.Since(began), 20*time.Second, "load balancers may still send to the node")
			assert.LessOrEqual(t, time.Since(began), 25*time.Second, "from its warning until an empty node is dealt with")
		}))
	}
}

// Its termination has a node launched for the pods that are planned for it. A kubelet may be lost while load balancers send through its node.
func TestNodeThatJoinsDoesNotWaitForLoadBalancers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ready corev1.ConditionStatus
		age   time.Duration
		waits bool
	}{
		{name: "it joins", ready: corev1.ConditionFalse, age: 20 * time.Second},
		{name: "Ready since it joined", ready: corev1.ConditionTrue, age: 20 * time.Second, waits: true},
		{name: "no longer Ready", ready: corev1.ConditionUnknown, age: 5 * time.Minute, waits: true},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			w.silent()
			warned := w.inService()[0]
			w.edit(warned, func(n *corev1.Node) { n.CreationTimestamp = metav1.NewTime(time.Now().Add(-tt.age)) })
			w.setReady(warned, tt.ready)
			w.running()
			began := time.Now()
			w.send(warning(warned, began))
			w.waitTerminated(warned)
			took := time.Since(began)
			assert.Truef(t, took < 10*time.Second == !tt.waits && took < 30*time.Second, "terminated after %v, waits for load balancers: %v", took, tt.waits)
		}))
	}
}

// The autoscaler was down for hours, or may not delete messages. AWS throttles a call for each.
func TestOldHooksDoNotDelayWarnings(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		for n := range 4500 {
			w.send(hookMessage(fmt.Sprintf("i-0%016x", n), time.Now().Add(-3*time.Hour)))
		}
		w.aws.Inject(fakeaws.Fault{Action: "CompleteLifecycleAction", Code: "Throttling", Percent: 95})
		w.running()
		time.Sleep(10 * time.Second)
		w.send(warning(warned, time.Now()))
		w.within(2*time.Second, "its node cordoned", func() bool { return w.cordoned() == 1 })
	})(t)
}

// EKS names nodes by IP address, and a name may come again.
func TestDrainEndsWithItsNode(t *testing.T) {
	for _, tt := range []struct {
		name, instance string // that gets the name
		evicted        int    // pods of the new node
	}{
		{name: "another instance has its name", instance: "i-0aaaaaaaaaaaaaaaa"},
		{name: "its kubelet registers anew", evicted: 1},
	} {
		t.Run(tt.name, inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, leaves string) {
			w.refused.Store(true)
			var seen cache.Store
			w.running(drainOnRebalance, func(o *interruption.Options) { seen = o.Nodes.GetStore() })
			w.send(recommendation(leaves, time.Now()))
			w.wait("an eviction refused", func() bool { return len(w.pods.Calls()) > 0 })
			old := w.unregister(leaves)
			w.register(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: old.Name, UID: "new"},
				Spec: corev1.NodeSpec{ProviderID: "aws:///" + zone + "/" + cmp.Or(tt.instance, leaves)}})
			w.wait("the handler knows the new node", func() bool {
				n, exists, _ := seen.GetByKey(old.Name)
				return exists && n.(*corev1.Node).UID == "new"
			})
			w.create("newcomer", func(p *corev1.Pod) { p.Spec.NodeName, p.Status.Phase = old.Name, corev1.PodRunning })
			w.refused.Store(false)
			w.within(time.Minute, "terminated", func() bool { return w.terminations() > 0 })
			w.waitTerminated(leaves)
			assert.Equal(t, tt.evicted, w.evictions("newcomer"), "times a pod was evicted from the new node of the name")
		}))
	}
}

// AWS refuses for a while to end an instance without a node, or another write to the group delays that.
func TestNodeThatComesBeforeItsInstanceEndsIsDrained(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.silent()
		warned := w.inService()[0]
		node := w.unregister(warned)
		w.aws.Inject(fakeaws.Fault{Action: "TerminateInstanceInAutoScalingGroup", Code: "AccessDenied", For: fakeaws.Duration(10 * time.Second)})
		w.running()
		w.send(warning(warned, time.Now()))
		w.wait("a termination refused", func() bool { return w.terminations() > 0 })
		node.UID = "new"
		w.register(node)
		w.run(warned, "a")
		w.waitTerminated(warned)
		assert.Equal(t, 1, w.evictions("a"), "evictions")
	})(t)
}

// The hook of another tool keeps the instance alive, until EC2 takes it.
func TestNodeThatComesWhileItsInstanceEndsIsDrained(t *testing.T) {
	g := hooked(scalingGroup(0, 2, 5))
	g.LifecycleHooks[0].Name = "copy-logs"
	inBubble(g, func(t *testing.T, w *world) {
		w.silent()
		warned := w.inService()[0]
		node := w.unregister(warned)
		w.running()
		w.send(warning(warned, time.Now()))
		time.Sleep(20 * time.Second)
		require.Equal(t, 1, w.terminations(), "terminations before the node comes")
		node.UID = "new"
		w.register(node)
		w.run(warned, "a")
		w.within(20*time.Second, "its pod moved", func() bool { return w.evictions("a") == 1 })
		w.waitEmptyQueue()
		assert.Equal(t, 1, w.cordoned(), "nodes cordoned")
		w.ended(1, 1, 1)
	})(t)
}

// leaving is a Cache whose readings show an instance in another state while there is one.
type leaving struct {
	*asg.Cache
	instance string
	state    atomic.Value // a string
}

// change leaves out an instance of the warm pool, as a Cache does.
func (l *leaving) change(g *group.Group) *group.Group {
	state, _ := l.state.Load().(string)
	if g == nil || state == "" {
		return g
	}
	c := *g
	c.Instances = slices.Clone(g.Instances)
	at := slices.IndexFunc(c.Instances, func(i group.Instance) bool { return i.ID == l.instance })
	switch {
	case at < 0:
	case strings.HasPrefix(state, "Warmed:"):
		c.WarmPool, c.Instances = true, slices.Delete(c.Instances, at, at+1)
	default:
		c.Instances[at].Lifecycle = group.Lifecycle(state)
	}
	return &c
}

func (l *leaving) Snapshot() *group.Snapshot {
	s := l.Cache.Snapshot()
	if g := s.Group("spot"); g != nil {
		return s.With(l.change(g))
	}
	return s
}

func (l *leaving) Reread(ctx context.Context, name string) (*group.Group, error) {
	g, err := l.Cache.Reread(ctx, name)
	return l.change(g), err
}

// Auto Scaling takes an instance out of service for a while. With the same ID it comes back from the warm pool that it returned to
// (ReuseOnScaleIn), or from another root volume.
func TestInstanceThatComesBackIsDrainedAgain(t *testing.T) {
	for _, tt := range []struct {
		name, waits, then, action, says string
		away                            time.Duration
	}{
		{name: "from a warm pool", waits: "Warmed:Pending:Wait", then: "Warmed:Stopped", says: "ends the instance", away: 10 * time.Second},
		{name: "from another root volume", waits: "ReplacingRootVolume:Wait", then: "RootVolumeReplaced",
			action: "ReplaceRootVolume", says: "replaces the root volume", away: 20 * time.Minute},
	} {
		t.Run(tt.name, inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
			w.silent()
			l := &leaving{Cache: w.cache, instance: w.inService()[0]}
			w.running(func(o *interruption.Options) { o.Groups = l })
			for n, pod := range []string{"a", "b"} {
				w.run(l.instance, pod)
				l.state.Store(tt.waits)
				w.send(strings.Replace(hookMessage(l.instance, time.Now()), `"detail":{`, fmt.Sprintf(`"detail":{"Action":%q,`, tt.action), 1))
				w.waitEmptyQueue()
				require.Truef(t, w.evictions(pod) == 1 && w.aws.Calls()["CompleteLifecycleAction"] == n+1,
					"pod %s was evicted %d times, handled %v, want a drained node", pod, w.evictions(pod), w.handled())
				l.state.Store(tt.then)
				time.Sleep(tt.away)
				node := w.nodes()[l.instance]
				require.True(t, node.Spec.Unschedulable, "the node is in use before its instance is in service")
				assert.Contains(t, node.Annotations[interruption.Taint], tt.says)
				l.state.Store("")
				w.wait("in service again, and its node back in use", func() bool { return !w.nodes()[l.instance].Spec.Unschedulable })
			}
			assert.Zero(t, w.terminations(), "terminations")
			if tt.action == "" {
				return
			}
			l.state.Store(tt.waits)
			w.send(strings.Replace(hookMessage(l.instance, time.Now()), `"detail":{`, fmt.Sprintf(`"detail":{"Action":%q,`, tt.action), 1))
			w.waitEmptyQueue()
			l.state.Store(tt.then)
			w.send(warning(l.instance, time.Now()))
			w.waitTerminated(l.instance)
		}))
	}
}

// Nothing of the last drain is known but what the node says.
func TestInstanceReusedFromWarmPoolIsLeftInService(t *testing.T) {
	for _, tt := range []struct {
		name    string
		restart bool
		asleep  time.Duration
	}{
		{name: "after a restart", restart: true},
		{name: "after an hour in the pool", asleep: 61 * time.Minute},
	} {
		t.Run(tt.name, inBubble(within(2*time.Hour, hooked(scalingGroup(0, 2, 5))), func(t *testing.T, w *world) {
			w.silent()
			l := &leaving{Cache: w.cache, instance: w.inService()[0]}
			groups := func(o *interruption.Options) { o.Groups = l }
			stop := w.running(groups)
			w.run(l.instance, "a")
			l.state.Store("Warmed:Pending:Wait")
			w.send(hookMessage(l.instance, time.Now()))
			w.waitEmptyQueue()
			require.Truef(t, w.evictions("a") == 1 && w.cordoned() == 1, "%d evictions, want a drained node", w.evictions("a"))
			time.Sleep(tt.asleep)
			if tt.restart {
				stop()
				w.running(groups)
			}
			w.run(l.instance, "b")
			l.state.Store("")
			w.within(3*time.Minute, "its node back in use", func() bool { return w.cordoned() == 0 })
			assert.Zero(t, w.evictions("b")+w.terminations(), "evictions and terminations of an instance in service")
		}))
	}
}

// The API server takes no write of its node when it is in service again.
func TestReusedInstanceWhoseNodeCannotBeWrittenIsLeftInService(t *testing.T) {
	inBubble(scalingGroup(0, 2, 5), func(t *testing.T, w *world) {
		w.silent()
		l := &leaving{Cache: w.cache, instance: w.inService()[0]}
		w.running(func(o *interruption.Options) { o.Groups = l })
		w.run(l.instance, "a")
		l.state.Store("Terminating")
		w.send(stateChange(l.instance, "stopping"))
		w.wait("drained", func() bool { return w.handled()["drained state-change"] == 1 && w.cordoned() == 1 })
		var tries atomic.Int32
		until := time.Now().Add(50 * time.Second)
		w.cluster.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
			tries.Add(1)
			return time.Now().Before(until), nil, errors.New("the API server is away")
		})
		l.state.Store("Warmed:Stopped")
		time.Sleep(10 * time.Second)
		w.run(l.instance, "b")
		l.state.Store("")
		w.within(3*time.Minute, "its node back in use", func() bool { return w.cordoned() == 0 })
		assert.Greater(t, tries.Load(), int32(1), "writes that were tried")
		assert.Zero(t, w.evictions("b")+w.terminations(), "evictions and terminations of an instance in service")
	})(t)
}

// One instance of weight 8 serves a desired capacity of 1.
func TestHeavyInstanceEndsAfterItsWarning(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		least, desired, stays int
		asks                  bool // the core asks for another node meanwhile
		schedule              string
	}{
		{name: "without another"},
		{name: "while a schedule allows none", schedule: "any any any any any for=1h max=0"},
		{name: "AWS replaces it at the minimum size", least: 1, desired: 1, stays: 1},
		{name: "beside the next that the core asks for", desired: 1, stays: 1, asks: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := scalingGroup(tt.least, 1, 100)
			if tt.schedule != "" {
				g.Tags[group.TagSchedule+"always"] = tt.schedule
			}
			g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *g.LaunchTemplate,
				Overrides: []fakeaws.Override{{InstanceType: "m5.2xlarge", WeightedCapacity: 8}, {InstanceType: "m5.large", WeightedCapacity: 1}}}
			g.LaunchTemplate = nil
			inUse(g, func(t *testing.T, w *world, warned string) {
				w.refused.Store(true)
				w.running()
				w.send(warning(warned, time.Now()))
				w.wait("cordoned", func() bool { return w.cordoned() > 0 })
				if tt.asks {
					require.NoError(t, w.cache.Increase(t.Context(), "spot", 1))
				}
				w.refused.Store(false)
				w.waitTerminated(warned)
				w.wait("the others in service", func() bool { return len(w.inService()) == tt.stays })
				w.ended(1, tt.desired, 1)
			})(t)
		})
	}
}

// EC2 says that an instance stops when a warm pool gets it. AWS may say so again, and late.
func TestStopInWarmPoolEndsNoNode(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("received in service %t", late), func(t *testing.T) {
			g := scalingGroup(0, 1, 5)
			g.WarmPool = &fakeaws.WarmPool{Warmed: 1}
			inBubble(g, func(t *testing.T, w *world) {
				w.silent()
				pool, err := w.aws.Warmed("spot")
				require.NoError(t, err)
				warmed, stopped := pool[0], time.Now()
				event := strings.Replace(stateChange(warmed, "stopped"), "{", fmt.Sprintf(`{"time":%q,`, stopped.UTC().Format(time.RFC3339)), 1)
				h := w.handler()
				h.LeaveToOthers(150 * time.Second)
				w.background(h.Run)
				if !late {
					w.send(event)
				}
				time.Sleep(40 * time.Second)
				require.NoError(t, w.cache.Increase(t.Context(), "spot", 1))
				w.wait("in service, with its node", func() bool { return slices.Contains(w.inService(), warmed) && w.nodes()[warmed] != nil })
				if late { // otherwise the node is not Ready yet
					node := w.nodes()[warmed]
					node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
					_, err = w.cluster.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
					require.NoError(t, err)
				}
				w.run(warmed, "a")
				w.wait("in service in a reading", func() bool {
					i, _ := w.cache.Snapshot().Instance(warmed)
					return i != nil && i.Lifecycle == "InService"
				})
				if late {
					w.send(event)
				}
				w.within(3*time.Minute, "its message deleted", func() bool { return w.handled()["counted state-change"] == 1 })
				time.Sleep(3 * time.Minute)
				assert.Zero(t, w.cordoned()+w.evictions("a")+w.terminations(), "cordons, evictions and terminations of a node in use")
			})(t)
		})
	}
}

func TestNodeOfLeavingInstanceStaysCordoned(t *testing.T) {
	inBubble(scalingGroup(0, 1, 5), func(t *testing.T, w *world) {
		l := &leaving{Cache: w.cache, instance: w.inService()[0]}
		l.state.Store("Terminating:Wait")
		w.annotate(l.instance, "cordon,label", time.Now().Add(-6*time.Minute))
		h := w.handler(func(o *interruption.Options) { o.Groups = l })
		h.Reconcile(t.Context())
		assert.True(t, w.nodes()[l.instance].Spec.Unschedulable, "the node of an instance on its way out was put back into use")
	})(t)
}

// The first drain meets a fault of ours.
func TestPanicBreaksOneDrainOff(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		var drains atomic.Int32
		w.running(func(o *interruption.Options) {
			o.Draining = func(string, string, string) {
				if drains.Add(1) == 1 {
					panic("a fault")
				}
			}
		})
		w.send(warning(warned, time.Now()))
		w.waitTerminated(warned)
		w.waitEmptyQueue()
		assert.Equalf(t, 1, w.handled()["broken spot-interruption"], "drains broken off, handled %v", w.handled())
		assert.Equal(t, 1, w.evictions("a"), "evictions by the drain that is done again")
	})(t)
}

// timed is a clock on which the wait for a late decision of the core takes another time.
type timed struct {
	clock.RealClock
	lateDecision time.Duration
}

func (c timed) NewTimer(d time.Duration) clock.Timer {
	if d == interruption.LateDecision {
		d = c.lateDecision
	}
	return c.RealClock.NewTimer(d)
}

// A group at its minimum waits for the core, which may raise it. Then AWS replaces the instance.
func TestGroupAtItsMinimumWaitsForTheCore(t *testing.T) {
	for _, tt := range []struct {
		name    string
		decides bool
		clock   timed
	}{
		{name: "until it has decided", decides: true, clock: timed{lateDecision: time.Hour}},
		{name: "but not for ever", clock: timed{lateDecision: interruption.LateDecision}},
	} {
		t.Run(tt.name, inUse(scalingGroup(2, 2, 5), func(t *testing.T, w *world, warned string) {
			w.running(func(o *interruption.Options) {
				o.Clock = tt.clock
				if !tt.decides {
					o.Wake = func() {}
				}
			})
			w.send(warning(warned, time.Now()))
			w.waitTerminated(warned)
		}))
	}
}

// A message that came again would have the node drained again.
func TestPlannedDrainThatCannotTerminateIsOver(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, kept string) {
		w.aws.Inject(fakeaws.Fault{Action: "TerminateInstanceInAutoScalingGroup", Code: "AccessDenied"})
		w.running(drainOnRebalance)
		w.send(recommendation(kept, time.Now()))
		w.within(time.Minute, "cordoned", func() bool { return w.cordoned() == 1 })
		w.within(5*time.Minute, "its message deleted", func() bool { return w.handled()["hand-back-failed rebalance-recommendation"] == 1 })
		w.waitEmptyQueue()
		w.within(25*time.Minute, "back in use", func() bool { return w.cordoned() == 0 })
		time.Sleep(10 * time.Minute)
		assert.Truef(t, w.cordoned() == 0 && w.evictions("a") == 1,
			"%d nodes cordoned, %d evictions, want a node in use", w.cordoned(), w.evictions("a"))
	})(t)
}

// The operator starts the instance again, and later stops it once more.
func TestInstanceInUseAgainIsDrainedAgain(t *testing.T) {
	g := scalingGroup(0, 2, 5)
	g.SuspendedProcesses = []string{"HealthCheck"}
	inBubble(g, func(t *testing.T, w *world) {
		w.silent()
		stopped := w.inService()[0]
		w.running()
		for _, pod := range []string{"a", "b"} {
			w.run(stopped, pod)
			w.send(stateChange(stopped, "stopping"))
			w.waitEmptyQueue()
			require.Truef(t, w.evictions(pod) == 1, "pod %s was evicted %d times, handled %v", pod, w.evictions(pod), w.handled())
			w.within(10*time.Minute, "back in use", func() bool { return w.cordoned() == 0 })
		}
	})(t)
}

// pools counts the pools that are noted as short.
type pools struct {
	*asg.Cache
	noted atomic.Int32
}

func (p *pools) Interrupted(cooldown.Pool, string) { p.noted.Add(1) }

func TestWarningDuringAnotherDrainNotesItsPool(t *testing.T) {
	inUse(scalingGroup(0, 2, 5), func(t *testing.T, w *world, warned string) {
		groups := &pools{Cache: w.cache}
		w.refused.Store(true)
		w.running(drainOnRebalance, func(o *interruption.Options) { o.Groups = groups })
		w.send(recommendation(warned, time.Now()))
		w.wait("cordoned", func() bool { return w.cordoned() == 1 })
		assert.True(t, groups.noted.Load() == 0, "a pool is noted after a recommendation")
		w.send(warning(warned, time.Now()))
		w.send(warning(warned, time.Now()))
		w.within(3*time.Minute, "terminated", func() bool { return w.terminations() == 1 })
		w.waitEmptyQueue()
		assert.EqualValues(t, 1, groups.noted.Load(), "times the pool is noted after two copies of a warning")
	})(t)
}
