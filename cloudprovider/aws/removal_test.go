package aws_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/actuation"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/deletiontracker"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	coretest "k8s.io/autoscaler/cluster-autoscaler/core/test"
	"k8s.io/autoscaler/cluster-autoscaler/observers/nodegroupchange"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// heldPods lists the pods once it may. The core lists them when it has tainted the nodes that it removes.
type heldPods struct {
	kubeutil.PodLister
	may chan struct{}
}

func (h heldPods) List() ([]*corev1.Pod, error) {
	<-h.may
	return h.PodLister.List()
}

// A removal that the core never ends would keep it from draining any other node.
func TestCoreEndsRemovalFromGroupThatChangesItsForm(t *testing.T) {
	whole, divided := awsworld.Zoned(awsworld.Group("a", "m5.large", 0, 3, 9, nil), "abc"), awsworld.Divided("a", "m5.large", 0, 3, 9)
	divide := func(w world) string {
		w.NeedZones("a")
		return "a/" + awsworld.ZoneA
	}
	unite := func(w world) string {
		require.NoError(t, w.AWS.Resume("a", "AZRebalance"))
		w.Reread()
		return "a"
	}
	for _, tt := range []struct {
		name   string
		group  fakeaws.AutoScalingGroup
		drains bool
		change func(world) string
		gone   bool // the node object, before its instance
	}{
		{"a node is drained, and the group is divided", whole, true, divide, false},
		{"an empty node goes, and the group is divided", whole, false, divide, false},
		{"a node is drained, and the group is whole again", divided, true, unite, false},
		{"an empty node goes, and the group is whole again", divided, false, unite, false},
		{"a node is drained and is gone, and the group is divided", whole, true, divide, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newDividedWorld(t, nil, tt.group)
			var nodes []*corev1.Node
			var pods []*corev1.Pod
			client := fake.NewClientset()
			client.PrependReactor("update", "nodes", func(a clienttesting.Action) (bool, runtime.Object, error) {
				w.Cluster.Put(t, a.(clienttesting.UpdateAction).GetObject().(*corev1.Node))
				return false, nil, nil
			})
			client.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) { // evictions
				return true, nil, nil
			})
			for _, id := range w.IDs() {
				for _, n := range w.Members(id, nil) {
					n.Name = n.Name[:1] + n.Spec.ProviderID[len(n.Spec.ProviderID)-17:]
					require.NoError(t, client.Tracker().Add(n))
					w.Cluster.Put(t, n)
					nodes = append(nodes, n)
					if tt.drains { // the API server does not have it, as if it were gone at once
						pods = append(pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "of-" + n.Name, Namespace: "default"},
							Spec: corev1.PodSpec{NodeName: n.Name}})
					}
				}
			}
			held := heldPods{kubeutil.NewTestPodLister(pods), make(chan struct{})}
			listers := kubeutil.NewListerRegistry(kubeutil.NewTestNodeLister(nodes), nil, held, kubeutil.NewTestPodDisruptionBudgetLister(nil),
				nil, nil, nil, nil, nil)
			given := config.AutoscalingOptions{MaxScaleDownParallelism: 10, MaxDrainParallelism: 1, PredicateParallelism: 1}
			ctx, err := coretest.NewScaleTestAutoscalingContext(given, client, listers, w, nil, nil, nil)
			require.NoError(t, err)
			actuator := actuation.NewActuator(&ctx, nodegroupchange.NewNodeGroupChangeObserversList(), deletiontracker.NewNodeDeletionTracker(0),
				options.NodeDeleteOptions{}, rules.Rules{}, nodegroupconfig.NewDefaultNodeGroupConfigProcessor(given.NodeGroupDefaults))
			begin := func(n *corev1.Node) {
				t.Helper()
				empty, drained := []*corev1.Node{n}, []*corev1.Node(nil)
				if tt.drains {
					empty, drained = drained, empty
				}
				result, _, err := actuator.StartDeletion(empty, drained)
				require.Truef(t, result == status.ScaleDownNodeDeleteStarted && err == nil, "the removal of %s: %v, %v", n.Name, result, err)
			}
			ended := func(n *corev1.Node) error {
				t.Helper()
				w.waitWhile("it is being removed", func() bool {
					empty, drained := actuator.CheckStatus().DeletionsInProgress()
					return len(empty)+len(drained) > 0
				})
				results, _ := actuator.DeletionResults()
				return results[n.Name].Err
			}
			begin(nodes[0])
			form := tt.change(w)
			w.waitWhile("the group has its old form", func() bool { return w.View().NodeGroup(form) == nil })
			if tt.gone {
				w.Cluster.Drop(t, nodes[0])
				require.NoError(t, client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("nodes"), "", nodes[0].Name))
			}
			close(held.may)
			assert.ErrorContains(t, ended(nodes[0]), "is removed later", "the removal that began before")
			assert.Equal(t, 0, w.AWS.Calls()[terminateCall], "times AWS was asked to terminate an instance")
			n, err := client.CoreV1().Nodes().Get(t.Context(), nodes[0].Name, metav1.GetOptions{})
			require.Equal(t, tt.gone, err != nil)
			assert.False(t, !tt.gone && taints.HasToBeDeletedTaint(n), "the node is still tainted")

			formed := time.Now().Unix()
			w.waitWhile("the next removal would begin in the second in which the group changed", func() bool { return time.Now().Unix() == formed })
			begin(nodes[1])
			assert.NoError(t, ended(nodes[1]), "the removal that began after")
			assert.True(t, w.IsMember(nodes[0]) && !w.IsMember(nodes[1]), "the second node alone is no longer a member as soon as its removal ends")
			assert.Equal(t, 1, w.AWS.Calls()[terminateCall], "times AWS was asked to terminate an instance")
		})
	}
}

// A node group of the first view is older than every removal of this process, whatever the clock says.
func TestRemovalEndsAfterTheClockWentBack(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
	n := tainted(w.Nodes("a")[0], time.Now().Add(-10*time.Minute))
	w.Cluster.Put(t, n)
	require.NoError(t, w.NodeGroup("a").DeleteNodes([]*corev1.Node{n}))
	assert.Equal(t, 1, w.AWS.Calls()[terminateCall], "times AWS was asked to terminate the instance")
}

// tainted is a node whose removal the core began then.
func tainted(n *corev1.Node, then time.Time) *corev1.Node {
	n = n.DeepCopy()
	n.Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Value: fmt.Sprint(then.Unix()), Effect: corev1.TaintEffectNoSchedule}}
	return n
}

// Its kubelet may register anew during the drain, or somebody takes the taint off, and pods come.
func TestRegisteredNodeGoesOnlyWithTheCoresTaint(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.Nodes("a")
	w.Cluster.Put(t, nodes[0], awsworld.Node(nodes[1].Name, "aws:///cn-northwest-1a/i-0123456789abcdef0"))
	assert.ErrorContains(t, w.NodeGroup("a").DeleteNodes(nodes[:1]), taints.ToBeDeletedTaint, "deletion of a node without the taint")
	assert.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[1:]), "deletion of a node whose name another instance has")
	w.desires("a", 1)
	time.AfterFunc(50*time.Millisecond, func() { w.Cluster.Put(t, tainted(nodes[0], time.Now())) }) // a cache may be behind
	assert.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
	w.desires("a", 0)
}

// With --node-deletion-batcher-interval the removals of some minutes are ended together.
func TestRemovalIsLookedAtAgainWhenItsBatchEnds(t *testing.T) {
	w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 3, 5, nil))
	w = w.restartedWith(func(_ *asg.Options, o *aws.Options) { o.GatherDeletions = time.Second })
	nodes := w.Nodes("a")
	kept, anew, goes := nodes[0], nodes[1], nodes[2]
	for _, n := range nodes {
		w.Cluster.Put(t, tainted(n, time.Now()))
	}
	time.AfterFunc(200*time.Millisecond, func() {
		newer := anew.DeepCopy()
		newer.Name, newer.CreationTimestamp = "newer", metav1.NewTime(time.Now().Add(time.Minute))
		w.Cluster.Put(t, kept, newer)
	})
	assert.Equal(t, 2, w.deleteAtOnce("a", nodes), "removals fail, want those of a node without its taint and of one that registered anew")
	assert.Equal(t, [3]bool{true, true, false}, [3]bool{w.IsMember(kept), w.IsMember(anew), w.IsMember(goes)}, "members")
}

const ebsVolume = "kubernetes.io/csi/ebs.csi.aws.com^vol-0123456789abcdef0"

// Kubernetes detaches no volume that the last status of a kubelet has in use, for 6 minutes after its node is gone.
func TestDrainedNodeIsKeptUntilItsVolumesAreReleased(t *testing.T) {
	release := func(w world, n *corev1.Node) {
		n.Status.VolumesInUse = nil
		w.Cluster.Put(t, n)
	}
	const most, moment = aws.VolumesShown, aws.RemovalPoll
	for _, tt := range []struct {
		name   string
		before time.Duration // since the deletion, when the node still stays
		then   func(w world, n *corev1.Node)
		after  time.Duration
		err    string
	}{
		{"they are released", moment, release, moment, ""},
		{"they are released late", most / 2, release, moment, ""},
		{"they are not released", most - moment, func(world, *corev1.Node) {}, moment, ""},
		{"the node is gone", moment, func(w world, n *corev1.Node) { w.Cluster.Drop(t, n) }, moment, ""},
		{"kubelet is lost", moment, func(w world, n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute})
			w.Cluster.Put(t, n)
		}, moment, ""},
		{"somebody takes the taint off meanwhile", moment, func(w world, n *corev1.Node) {
			n.Spec.Taints = nil
			release(w, n)
		}, moment, taints.ToBeDeletedTaint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(time.Now())
			w := world{awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 3, 5, nil), func(_ *asg.Options, o *aws.Options) { o.Clock = clock })}
			var nodes []*corev1.Node
			for _, n := range w.Nodes("a") {
				nodes = append(nodes, tainted(n, time.Now()))
			}
			none, released, holds := nodes[0], nodes[1], nodes[2]
			for _, n := range nodes[1:] {
				n.Status.VolumesInUse = []corev1.UniqueVolumeName{ebsVolume}
			}
			w.Cluster.Put(t, nodes...)
			require.NoError(t, w.NodeGroup("a").DeleteNodes([]*corev1.Node{none}), "deletion of a node that never had a volume")
			require.False(t, w.IsMember(none), "a node that never had a volume stays")

			done := make(chan error, 1)
			go func() { done <- w.NodeGroup("a").DeleteNodes([]*corev1.Node{released, holds}) }() // they wait together
			waits := func() { w.waitWhile("nothing waits", func() bool { return !clock.HasWaiters() }) }
			waits()
			release(w, released.DeepCopy())
			clock.Step(tt.before)
			waits()
			require.Truef(t, w.IsMember(released) && w.IsMember(holds), "the nodes do not stay for %v", tt.before)
			tt.then(w, holds.DeepCopy())
			clock.Step(tt.after)
			err := <-done
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
			} else {
				assert.NoError(t, err)
			}
			assert.False(t, w.IsMember(released), "the node with released volumes stays")
			assert.Equal(t, tt.err != "", w.IsMember(holds), "the node stays")
		})
	}
}

// Load balancers leave a node out when they see the core's taint, and send to it for some seconds more. To them, every node has the ports of
// Services.
func TestNodeIsKeptUntilLoadBalancersSendNoMoreToIt(t *testing.T) {
	const most, moment = interruption.LeaveTime, aws.RemovalPoll
	service := func(nodePorts ...int32) (spec corev1.ServiceSpec) {
		for _, port := range nodePorts {
			spec.Ports = append(spec.Ports, corev1.ServicePort{Port: 80, NodePort: port})
		}
		return spec
	}
	headless, inside, one := service(), service(0), service(30080)
	for _, tt := range []struct {
		name     string
		services []corev1.ServiceSpec
		ago      time.Duration // since the taint
		lost     bool
		stays    time.Duration // since the deletion
	}{
		{"tainted now", []corev1.ServiceSpec{one}, 0, false, most},
		{"tainted before its pods left", []corev1.ServiceSpec{one}, 5 * time.Second, false, most - 5*time.Second},
		{"a long drain", []corev1.ServiceSpec{one}, most, false, 0},
		{"the clock was set back since the taint", []corev1.ServiceSpec{one}, -time.Hour, false, most},
		{"kubelet is lost", []corev1.ServiceSpec{one}, 0, true, 0},
		{"one Service of several has node ports", []corev1.ServiceSpec{headless, inside, one}, 0, false, most},
		{"one port of several is a node port", []corev1.ServiceSpec{service(0, 30080)}, 0, false, most},
		{"no Service has node ports", []corev1.ServiceSpec{headless, inside}, 0, false, 0},
		{"a plugin reads no Services", nil, 0, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clock := clocktesting.NewFakeClock(time.Unix(time.Now().Unix(), 0))
			w := world{awsworld.NewStill(t, awsworld.Group("a", "m5.large", 0, 1, 5, nil), func(_ *asg.Options, o *aws.Options) { o.Clock = clock })}
			if tt.services != nil {
				services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
				for i, spec := range tt.services {
					require.NoError(t, services.Add(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i)}, Spec: spec}))
				}
				w.Provider.Services = corelisters.NewServiceLister(services)
			}
			n := tainted(w.Nodes("a")[0], clock.Now().Add(-tt.ago))
			if tt.lost {
				n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute})
			}
			w.Cluster.Put(t, n)
			done := make(chan error, 1)
			go func() { done <- w.NodeGroup("a").DeleteNodes([]*corev1.Node{n}) }()
			if tt.stays > 0 {
				waits := func() { w.waitWhile("nothing waits", func() bool { return !clock.HasWaiters() }) }
				waits()
				clock.Step(tt.stays - moment)
				waits()
				require.Truef(t, w.IsMember(n), "the node does not stay for %v", tt.stays)
				clock.Step(moment)
			}
			assert.NoError(t, <-done)
			assert.False(t, w.IsMember(n), "the node stays")
		})
	}
}

// The next leader removes the node.
func TestWaitForVolumesEndsWithTheProcess(t *testing.T) {
	ended := make(chan error, 1)
	var stop time.Time
	t.Run("process", func(t *testing.T) {
		w := newWorld(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil))
		n := tainted(w.Nodes("a")[0], time.Now())
		n.Status.VolumesInUse = []corev1.UniqueVolumeName{ebsVolume}
		w.Cluster.Put(t, n)
		go func() { ended <- w.NodeGroup("a").DeleteNodes([]*corev1.Node{n}) }()
		time.Sleep(time.Second)
		require.True(t, w.IsMember(n), "the node stays meanwhile")
		stop = time.Now()
	})
	assert.ErrorContains(t, <-ended, "the autoscaler is stopping")
	assert.Less(t, time.Since(stop), aws.VolumesShown/2, "time until the wait is over")
}
