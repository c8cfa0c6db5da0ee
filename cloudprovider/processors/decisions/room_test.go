package decisions_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corescaleup "k8s.io/autoscaler/cluster-autoscaler/core/scaleup"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/errors"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// addRoom has the core make pods for a capacity buffer.
func (w *world) addRoom(cpu string, pods int) {
	for i := range pods {
		room := waiting(fmt.Sprint("room-", i), "buffer", cpu)
		room.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
		w.fakes = append(w.fakes, room)
	}
}

// end deletes a pod.
func (w *world) end(pod string) {
	w.T.Helper()
	cached, err := w.factory.Core().V1().Pods().Lister().Pods("default").Get(pod)
	require.NoError(w.T, err)
	require.NoError(w.T, w.factory.Core().V1().Pods().Informer().GetIndexer().Delete(cached))
}

// book has a ProvisioningRequest book room.
func (w *world) book(cpu string) {
	pod := waiting("booked", "request", cpu)
	pod.UID = "default/booked" // as the core names it
	pod.Annotations = map[string]string{"autoscaling.x-k8s.io/consume-provisioning-request": "request"}
	w.booked = booked{pod}
}

// The room may get a node of any group, and its old node would go before that node is there.
func TestConsolidationLaunchesNoNodeForRoomAlone(t *testing.T) {
	t.Run("nothing else is on the node", func(t *testing.T) {
		w := newDearWorld(t, 1, 0, "400m")
		w.end("big-pod-0")
		w.addRoom("400m", 1)
		w.stays("1 big, 0 small", 20)
	})
	t.Run("the pod of the node has a place", func(t *testing.T) {
		w := newDearWorld(t, 1, 1, "500m")
		w.consolidation.Horizon = 4 * time.Hour
		w.addRoom("1200m", 1)
		w.stays("1 big, 1 small", 20)
	})
	t.Run("the expander prefers another group", func(t *testing.T) {
		w := newDearWorld(t, 0, 1, "400m")
		w.end("small-pod-0")
		w.addRoom("1500m", 1)
		spot, onDemand := awsworld.Group("spot", "", 0, 0, 5, map[string]string{move.TagBudget: "100%"}), 0
		spot.LaunchTemplate, spot.MixedInstancesPolicy = nil, &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
			Overrides: []fakeaws.Override{{InstanceType: "m5.xlarge"}}} // wastes more, and costs less
		spot.MixedInstancesPolicy.Distribution.OnDemandPercentageAboveBaseCapacity = &onDemand
		require.NoError(t, w.AWS.AddGroup(spot))
		w.Reread()
		w.stays("0 big, 1 small", 20)
		assert.Equal(t, 0, w.size("spot"))
	})
	t.Run("the pod finds a place meanwhile", func(t *testing.T) {
		w := newDearWorld(t, 1, 0, "1")
		w.end("big-pod-0")
		pod := running("pod", "set", "1", "big-0")
		pod.Spec.Tolerations = []corev1.Toleration{{Key: "mine", Operator: corev1.TolerationOpExists}}
		w.put(pod)
		w.consolidation.Horizon = 4 * time.Hour
		w.addRoom("800m", 1)
		w.untilConsolidated(func(*decision.Report) bool { return w.consolidation.Reason.Plan != nil })
		require.Equal(t, "1 big, 0 small", w.sizes())
		other := w.ready("big")[0].DeepCopy()
		other.Name, other.UID, other.Spec.ProviderID = "other", "other", "aws:///zone/i-0123456789abcdef0"
		other.Labels = map[string]string{corev1.LabelHostname: "other", corev1.LabelTopologyZone: awsworld.ZoneA}
		other.Spec.Taints = []corev1.Taint{{Key: "mine", Effect: corev1.TaintEffectNoSchedule}}
		other.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse("2")
		w.join(other)
		w.stays("1 big, 0 small", 20)
		assert.NotEqual(t, decision.NodeDraining, w.node(w.record.Report(), "big-0").State)
	})
}

// Nothing launches a node for the pods of the request before its booking has ended.
func TestBookedRoomKeepsANodeThatIsToMove(t *testing.T) {
	one := func(t *testing.T, reason move.Reason) *world {
		w := movesAlone(t, 1, reason)
		node := w.ready("small")[0]
		metav1.SetMetaDataLabel(&node.ObjectMeta, "outdated", "true")
		w.join(node)
		w.book("1500m")
		return w
	}
	t.Run("rotation", func(t *testing.T) {
		w := one(t, outdated{})
		n := w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRoom) })
		assert.Equal(t, "a ProvisioningRequest has booked room on it", n.Move.Waits)
		w.loopTimes(10)
		require.Equal(t, 1, w.desired())
		w.booked = nil
		w.untilDesired(0)
	})
	t.Run("a repair waits for nobody", func(t *testing.T) {
		w := one(t, outdated{repair: true, why: move.Why{IgnoresWishes: true}}) // as nodes are repaired in life
		w.untilDesired(0)
	})
	t.Run("consolidation", func(t *testing.T) {
		w := newDearWorld(t, 1, 0, "400m")
		w.consolidation.Horizon = 4 * time.Hour
		w.book("1200m")
		w.stays("1 big, 0 small", 20)
		assert.Empty(t, w.consolidation.Reason.Saved)
	})
}

// In each loop the pods of a node that moves look for places before the booking does.
func TestPodsOfAMoveTakeNoBookedRoom(t *testing.T) {
	for name, reason := range map[string]outdated{"rotation": {}, "repair": {repair: true, why: move.Why{IgnoresWishes: true}}} {
		t.Run(name, func(t *testing.T) {
			w := movesAlone(t, 2, reason)
			nodes := w.ready("small")
			metav1.SetMetaDataLabel(&nodes[0].ObjectMeta, "outdated", "true")
			w.join(nodes...)
			w.put(running("pod", "set", "500m", "small-0"))
			w.book("1500m")
			if name == "rotation" {
				w.untilMove(func(n decision.Node) bool { return n.Reason.Code == decision.CodeNoPlace })
				w.loopTimes(10)
				require.Equal(t, "", w.evicted())
				require.Equal(t, 2, w.desired())
				w.booked = nil
			}
			w.Eventually(func() string {
				w.loop()
				return cmp.Diff("pod", w.evicted())
			})
		})
	}
}

// The booking seeks another room than its own, as its pods run there already.
func TestMoveGetsTheNodeThatWasLaunchedForIt(t *testing.T) {
	w, _ := newRotationWorld(t, "1500m")
	w.untilDesired(4)
	w.book("1500m")
	w.join(w.ready("small")[3])
	w.untilMove(goes)
	w.gone(3)
	assert.Equal(t, "pod-0", w.evicted())
}

// roomFound is the core's scale-up with a check for capacity that finds room. The core books the room in its next loop.
type roomFound struct{ corescaleup.Orchestrator }

func (f roomFound) ScaleUp(pods []*corev1.Pod, nodes []*corev1.Node, daemonSets []*appsv1.DaemonSet, infos map[string]*framework.NodeInfo,
	all bool) (*corestatus.ScaleUpStatus, errors.AutoscalerError) {
	if slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return podlist.RequestOf(p) != "" }) {
		return &corestatus.ScaleUpStatus{Result: corestatus.ScaleUpSuccessful}, nil
	}
	return f.Orchestrator.ScaleUp(pods, nodes, daemonSets, infos, all)
}

func TestNoRemovalBeginsInTheLoopInWhichARequestFindsRoom(t *testing.T) {
	request := waiting("request", "request", "100")
	request.Annotations = map[string]string{"autoscaling.x-k8s.io/consume-provisioning-request": "request"}
	t.Run("somebody asks for it", func(t *testing.T) {
		w, nodes := newRequestWorld(t, 0, "1200m")
		w.put(request)
		w.request(nodes[0])
		w.loopTimes(5)
		require.Equal(t, "", w.evicted())
		require.Empty(t, w.events.Events, "nothing blocks it for long")
		w.end("request")
		w.loop()
		w.removed()
	})
	t.Run("a repair waits for nobody", func(t *testing.T) {
		w, _ := newRotationWorld(t, "500m")
		w.machine.Reasons = []move.Reason{outdated{repair: true, why: move.Why{IgnoresWishes: true}}}
		w.put(request)
		w.untilMove(goes)
		w.gone(2)
	})
}

// The pod of the node would have the place of the room.
func TestMoveNamesTheRoomThatIsMissing(t *testing.T) {
	w := movesAlone(t, 2, outdated{})
	require.NoError(t, w.AWS.SetLimits("small", 0, 2))
	w.Reread()
	nodes := w.ready("small")
	metav1.SetMetaDataLabel(&nodes[0].ObjectMeta, "outdated", "true")
	w.join(nodes...)
	w.put(running("pod", "set", "500m", "small-0"))
	w.addRoom("1500m", 1)
	n := w.untilMove(func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRoom) })
	assert.Equal(t, "room of a capacity buffer or of proactive scale-up is missing, and no node is launched for it yet", n.Move.Waits)
	assert.Equal(t, "", w.evicted())
}

// The room gets a node of another group than its own node's.
func TestNodeWithRoomAloneGoesOnceTheRoomHasAnother(t *testing.T) {
	begin := func(t *testing.T) *world {
		o := options()
		o.NodeGroupDefaults.MaxNodeStartupTime, o.ScaleDownDelayAfterAdd = 100*time.Hour, 100*time.Hour // the core itself removes nothing
		m := &move.Machine{Reasons: []move.Reason{outdated{}}, Budgets: parseBudgets(t, "100%"), Proof: 5 * time.Minute}
		on := awsworld.NewAWS(t, func(c *fakeaws.Config) {
			c.Delays.Synchronous = fakeaws.Duration(20 * time.Millisecond)
			c.LaunchTemplates = append(c.LaunchTemplates, fakeaws.LaunchTemplate{Name: "m5.2xlarge", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.2xlarge"}}})
		}, awsworld.Group("big", "m5.2xlarge", 0, 1, 5, nil), awsworld.Group("small", "m5.large", 0, 0, 5, nil))
		w := newMovingWorld(t, on, o, m)
		node := w.ready("big")[0]
		metav1.SetMetaDataLabel(&node.ObjectMeta, "outdated", "true")
		node.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour))
		w.join(node)
		w.addRoom("1200m", 1)
		return w
	}
	until := func(w *world, want func(decision.Node) bool) {
		w.Eventually(func() string {
			w.clock.Step(time.Second)
			n := w.node(w.loop(), "big-0")
			require.Equal(w.T, 1, w.size("big"))
			if n.Move != nil && want(n) {
				return ""
			}
			return fmt.Sprintf("node %+v, move %+v", n, n.Move)
		})
	}
	t.Run("it starts", func(t *testing.T) {
		w := begin(t)
		until(w, func(n decision.Node) bool {
			return n.Move.Replacement == "small" && n.Move.Hold == string(move.HeldStarting)
		})
		w.loopTimes(10)
		require.Equal(t, "1 big, 1 small", w.sizes())
		w.join(w.ready("small")[0])
		w.Eventually(func() string {
			w.loop()
			return cmp.Diff("0 big, 1 small", w.sizes())
		})
	})
	t.Run("AWS has none", func(t *testing.T) {
		w := begin(t)
		w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
		w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.2xlarge"})
		until(w, func(n decision.Node) bool { return n.Move.Hold == string(move.HeldRoom) })
		for range 30 {
			w.clock.Step(time.Second)
			w.loop()
		}
		assert.Equal(t, "1 big, 0 small", w.sizes())
		assert.NotEqual(t, decision.NodeDraining, w.node(w.record.Report(), "big-0").State)
	})
}
