package decisions_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/utils/annotations"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestAnswersAreByName(t *testing.T) {
	var groups []fakeaws.AutoScalingGroup
	for n := range 8 {
		groups = append(groups, awsworld.Group(fmt.Sprint("group-", n), "m5.large", 0, 0, 5, nil))
	}
	w := newWorld(t, onAWS(t, groups...), options())
	w.put(waiting("big-1", "big", "64"))
	r := w.loop()
	var names []string
	for _, a := range r.Searches[w.pod(r, "big-1").Search].Answers {
		names = append(names, a.Group)
	}
	assert.Truef(t, len(names) == 8 && slices.IsSorted(names), "answers of %v, want all by name", names)
}

func TestPodThatNoGroupHelps(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 0, 5, nil), awsworld.Group("full", "m5.large", 0, 0, 0, nil)), options())
	w.put(waiting("big-1", "big", "64"), waiting("big-2", "big", "64"))
	r := w.loop()
	assert.Truef(t, r.Loop.Number == 1 && r.Loop.Trigger == "test" && r.Loop.Result.Message == "no group helps 2 pending pods",
		"loop %+v", r.Loop)
	p := w.pod(r, "big-1")
	if p.State != decision.PodHelpless || p.Owner != "Deployment/big" || p.Cause.Code != decision.CodeResources || p.UID != "uid-big-1" {
		t.Errorf("pod %+v, want it helpless for want of CPU", p)
	}
	age := time.Since(p.Since)
	assert.Truef(t, age >= time.Minute && age <= 90*time.Second, "pending for %v, want since it became unschedulable", age)
	if other := w.pod(r, "big-2"); other.Search != p.Search || len(r.Searches) != 1 {
		t.Errorf("searches %d and %d of %d, want equivalent pods to share one", p.Search, other.Search, len(r.Searches))
	}
	a := w.answer(r, "big-1", "small")
	assert.Truef(t, a.Verdict == decision.Rejected && a.Reason.Code == decision.CodeResources, "answer %+v, want rejected", a)
	a = w.answer(r, "big-1", "full")
	assert.Truef(t, a.Verdict == decision.Skipped && a.Reason.Code == decision.CodeMaxSize, "answer %+v, want skipped at its maximum", a)
	if g := w.group(r, "full"); g.State != decision.GroupFull || g.Reason.Code != decision.CodeMaxSize {
		t.Errorf("group %+v, want full", g)
	}
	g := w.group(r, "small")
	if g.State != decision.GroupReady || g.CapacityType != "on-demand" || g.Max != 5 || !strings.HasSuffix(g.NodePrice, " CNY") || fmt.Sprint(g.Types) != "[m5.large]" {
		t.Errorf("group %+v, want it ready, with the price of a node", g)
	}
}

func TestScaleUp(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 0, 5, nil), awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil)), options())
	w.put(waiting("one", "web", "1"), waiting("two", "web", "1"), waiting("big", "big", "64"))
	r := w.loop()
	p := w.pod(r, "one")
	assert.Truef(t, p.State == decision.PodLaunching && p.Group == "small" && p.Cause.Code == decision.CodeLaunching,
		"pod %+v, want a node for it in group small", p)
	if a := w.answer(r, "one", "small"); a.Verdict != decision.Chosen || a.Pods != 2 || a.Nodes == 0 || !strings.Contains(a.Expander, "least-waste: small:") {
		t.Errorf("answer %+v, want it chosen, with the expander's words", a)
	}
	if a := w.answer(r, "two", "gpu"); a.Verdict != decision.Fits || a.Reason.Code != decision.CodeNotChosen || !strings.Contains(a.Expander, "accelerators that no pod asks for") {
		t.Errorf("answer %+v, want it to fit, with the expander's words", a)
	}
	big := w.pod(r, "big")
	assert.Equalf(t, decision.PodHelpless, big.State, "pod %+v, want helpless", big)
	if list := entries(r, decision.ScaleUp); len(list) != 1 || list[0].Group != "small" || !strings.Contains(list[0].Reason.Message, "for 2 pods") {
		t.Errorf("scale-ups %+v, want one for two pods", list)
	}
	if len(r.Launches) != 1 || r.Launches[0].Mode != "LaunchInstances" || r.Launches[0].Launched != r.Launches[0].Asked || r.Launches[0].Outcome.Code != decision.CodeNone {
		t.Errorf("launches %+v, want one that succeeded", r.Launches)
	}
	assert.Equalf(t, decision.CodeLaunching, r.Loop.Result.Code, "result %+v, want a launch", r.Loop.Result)

	r = w.loop() // the pods fit on the nodes that are on their way
	if p := w.pod(r, "one"); p.State != decision.PodLaunching || p.Group != "small" {
		t.Errorf("pod %+v in the next loop, want it to wait for its node", p)
	}
	g := w.group(r, "small")
	assert.Truef(t, g.Desired != 0 && g.Starting == g.Desired && g.Ready == 0 && g.Spend > 0 && r.Spend.Currency == "CNY",
		"group %+v, spend %+v, want nodes that start and cost money", g, r.Spend)
	if len(r.Nodes) != g.Desired || r.Nodes[0].State != decision.NodeStarting || r.Nodes[0].Group != "small" || r.Nodes[0].InstanceType != "m5.large" {
		t.Errorf("nodes %+v, want the instances that start", r.Nodes)
	}

	w.join(w.ready("small")...) // and the scheduler is slow
	p = w.pod(w.loop(), "one")
	assert.Truef(t, p.State == decision.PodFits && p.Group == "", "pod %+v once the nodes have come, want it to fit", p)
}

func TestSchedulerThatDoesNotUseTheRoom(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 5, nil)), options())
	node := w.ready("small")[0]
	w.join(node)
	w.put(waiting("one", "web", "1"))
	is := func(state decision.PodState, when string) {
		t.Helper()
		p := w.pod(w.loop(), "one")
		assert.Equalf(t, state, p.State, "%s: %+v", when, p)
		if state == decision.PodHelpless {
			assert.Equal(t, decision.CodeScheduling, p.Cause.Code)
			assert.Equal(t, "kubectl -n default describe pod one", p.Cause.Remedy)
		}
	}
	is(decision.PodFits, "at first")
	w.at = w.at.Add(10 * time.Minute)
	is(decision.PodHelpless, "ten minutes later")
	require.NoError(t, w.Grow("small", 1))
	is(decision.PodFits, "while a node comes that takes it")
	one := waiting("one", "web", "1")
	one.Status.NominatedNodeName = node.Name
	w.put(one)
	is(decision.PodFits, "with a node that the scheduler has nominated")
	says := "the scheduler has nominated node " + node.Name + " for it, and has not placed it there yet"
	assert.Equal(t, says, w.pod(w.record.Report(), "one").Cause.Message)
}

// The core takes a node with a start-up taint for starting, whatever its kubelet says.
func TestNodeWithAStartupTaintStarts(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 5, nil)), options())
	node := w.ready("small")[0]
	node.CreationTimestamp = metav1.Now()
	node.Spec.Taints = []corev1.Taint{{Key: taints.StartupTaintPrefix + "cni", Effect: corev1.TaintEffectNoSchedule}}
	w.join(node)
	w.put(waiting("one", "web", "1"))
	w.loop()
	w.at = w.at.Add(11 * time.Minute)
	r := w.loop()
	g, n, p := w.group(r, "small"), w.node(r, "small-0"), w.pod(r, "one")
	assert.Truef(t, g.Ready == 0 && g.Starting == 1, "group %+v, want its node to start", g)
	assert.Truef(t, n.State == decision.NodeStarting && strings.HasSuffix(n.Reason.Message, "the start-up taint "+node.Spec.Taints[0].Key), "node %+v", n)
	assert.Equalf(t, decision.PodFits, p.State, "pod %+v, want it to wait for the node", p)
}

// A node whose GPU has not appeared is Ready for its kubelet.
func TestNodeWithoutItsDeviceIsNotCountedAsReady(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("gpu", "g4dn.xlarge", 0, 2, 5, nil)), options())
	nodes := w.ready("gpu")
	nodes[0].CreationTimestamp = metav1.Now()
	nodes[1].Status.Allocatable = awsworld.Resources("cpu", "4", "memory", "15Gi", "pods", "20", "nvidia.com/gpu", "1")
	for _, n := range nodes {
		metav1.SetMetaDataLabel(&n.ObjectMeta, w.Provider.GPULabel(), "nvidia-tesla-t4")
	}
	w.join(nodes...)
	r := w.loop()
	g, n := w.group(r, "gpu"), w.node(r, nodes[0].Name)
	assert.Truef(t, g.Ready == 1 && g.Starting == 1 && n.State == decision.NodeStarting, "group %+v, node %+v, want it to start", g, n)
}

func TestLoopWithoutAReadyNodeNamesTheFlag(t *testing.T) {
	o := options()
	o.ScaleUpFromZero = false
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 5, nil)), o)
	assert.Contains(t, w.loop().Loop.Result.Message, "--scale-up-from-zero=false")
	w.join(w.ready("small")...)
	assert.Equal(t, decision.CodeFits, w.loop().Loop.Result.Code)
}

func TestLoopWithoutAGroupSaysSo(t *testing.T) {
	other := awsworld.Group("small", "m5.large", 0, 1, 5, nil)
	delete(other.Tags, awsworld.EnabledTag)
	w := newWorld(t, onAWS(t, other), options())
	for _, w.seen.Remote = range []bool{false, true} {
		got := w.loop().Loop.Result
		assert.Truef(t, got.Code == decision.CodeNoGroups && strings.Contains(got.Remedy, "--asg-region"), "result %+v, of a plugin: %t", got, w.seen.Remote)
	}
}

// The core's scale-up to minimum sizes hides what it said of the pods. Only one node is Ready in the second row, so the core looks for room.
func TestLimitOfNodesIsTheCause(t *testing.T) {
	for _, ready := range []int{2, 1} {
		o := options()
		o.MaxNodesTotal, o.EnforceNodeGroupMinSize = 2, true
		w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 2, 5, nil)), o)
		for at, n := range w.ready("small") {
			if at >= ready {
				n.Status.Conditions[0].Status, n.CreationTimestamp = corev1.ConditionFalse, metav1.NewTime(time.Now().Add(-time.Hour))
			}
			w.join(n)
			w.put(running(n.Name, "full", "1900m", n.Name))
		}
		w.put(waiting("one", "web", "1"), waiting("big", "big", "64"))
		r := w.loop()
		assert.Equalf(t, decision.CodeMaxNodesTotal, w.pod(r, "one").Cause.Code, "with %d Ready nodes: %+v", ready, w.pod(r, "one"))
		if ready == 1 {
			assert.Equal(t, decision.CodeResources, w.pod(r, "big").Cause.Code, "the pod that no limit keeps")
		}
	}
}

func TestSeveralScaleUpsOfOneLoop(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 0, 5, nil), awsworld.Group("large", "g4dn.xlarge", 0, 0, 5, nil)), options())
	w.put(waiting("one", "web", "1"), waiting("two", "web", "1500m"), waiting("big", "big", "3"))
	r := w.loop()
	for pod, group := range map[string]string{"one": "small", "two": "small", "big": "large"} {
		if p := w.pod(r, pod); p.State != decision.PodLaunching || p.Group != group || !strings.Contains(p.Cause.Message, fmt.Sprintf("in group %q", group)) {
			t.Errorf("pod %+v, want a node for it in group %s", p, group)
		}
		if a := w.answer(r, pod, group); a.Verdict != decision.Chosen || !strings.Contains(a.Expander, "least-waste: "+group+":") {
			t.Errorf("answer %+v to pod %s, want it chosen, with the expander's words", a, pod)
		}
	}
	list := entries(r, decision.ScaleUp)
	slices.SortFunc(list, func(a, b decision.Entry) int { return strings.Compare(a.Group, b.Group) })
	if len(list) != 2 || list[0].Group != "large" || !strings.Contains(list[0].Reason.Message, "1 node for 1 pod,") ||
		!strings.Contains(list[1].Reason.Message, "2 nodes for 2 pods,") || !strings.Contains(list[1].Reason.Message, "least-waste: small:") {
		t.Errorf("scale-ups %+v, want one in each group for its own pods", list)
	}
	for _, text := range []string{`2 nodes in group "small"`, `1 node in group "large"`} {
		assert.Containsf(t, r.Loop.Result.Message, text, "result %q, want %s in it", r.Loop.Result.Message, text)
	}
}

func TestFailedLaunch(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("dry", "m5.large", 0, 0, 5, nil)), options())
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.put(waiting("one", "web", "1"))
	r := w.loop()
	require.Truef(t, len(r.Launches) != 0 && r.Launches[0].Outcome.Code == decision.CodeNoCapacity && r.Launches[0].Launched == 0,
		"launches %+v, want one without capacity", r.Launches)
	if list := entries(r, decision.LaunchFailed); len(list) == 0 || list[0].Group != "dry" || list[0].Reason != r.Launches[0].Outcome {
		t.Errorf("failed launches %+v, want the launch", list)
	}
	r = w.loop()
	p := w.pod(r, "one")
	assert.Equalf(t, decision.CodeCoolDown, p.Cause.Code, "pod %+v in the next loop, want the cool-down as its cause", p)
	g := w.group(r, "dry")
	if g.State != decision.GroupCoolDown || g.Reason.Code != decision.CodeCoolDown || len(g.CoolDowns) != 1 || !g.CoolDowns[0].Until.After(g.CoolDowns[0].Since) {
		t.Errorf("group %+v, want it to cool down", g)
	}
}

// AWS goes on trying to launch what the group lacks. Another node would exceed the maximum.
func TestGroupAtItsMaximumThatAWSCannotFillIsFull(t *testing.T) {
	now := testclock.NewFakeClock(time.Now())
	w := newWorld(t, onAWS(t, awsworld.Group("dry", "m5.large", 0, 3, 3, nil)), options(), func(o *asg.Options) { o.Clock = now })
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	state, _ := w.AWS.Group("dry")
	require.NoError(t, w.AWS.Reclaim(state.Instances[0].ID))
	w.Eventually(func() string {
		if state, _ := w.AWS.Group("dry"); len(state.Instances) > 2 {
			return "the instance is there still"
		}
		return ""
	})
	w.Reread()
	now.Step(6 * time.Minute)
	w.Reread()
	w.Eventually(func() string { // AWS has tried to launch another, and its failure is known
		if _, failed := w.Cache.Trouble(w.Cache.Snapshot().Group("dry")); !failed {
			return "no failed launch is known"
		}
		return ""
	})
	now.Step(4 * time.Minute)
	w.Reread()
	for _, name := range []string{"one", "two", "three"} { // one more than the nodes that are on their way
		w.put(waiting(name, "web", "1500m"))
	}
	r := w.loop()
	g := w.group(r, "dry")
	assert.Truef(t, g.State == decision.GroupFull && g.Max == 3 && g.Desired == 2, "group %+v, want it full with 2 of 3", g)
	var causes []decision.Code
	for _, name := range []string{"one", "two", "three"} {
		causes = append(causes, w.pod(r, name).Cause.Code)
	}
	assert.Contains(t, causes, decision.CodeMaxSize)
}

func TestGroupIsTriedAgainAfterTheLongerOfItsPauses(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("dry", "m5.large", 0, 0, 5, nil)), options())
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	require.Error(t, w.Grow("dry", 1))
	unknown := cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "LaunchFailed"}
	until := w.backoff.Backoff(w.NodeGroup("dry"), nil, unknown, w.at)
	assert.Contains(t, w.group(w.loop(), "dry").Reason.Message, "AWS has no capacity")
	assert.Contains(t, w.group(w.loop(), "dry").Reason.Message, "(next try at "+why.Clock(until)+")")
}

// AWS accepts a higher desired capacity, and reports the failure of the launch afterwards.
func TestLaunchThatFailsLater(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("dry", "m5.large", 0, 0, 5, nil)), options(), func(o *asg.Options) { o.LaunchMode = asg.LaunchDesiredCapacity })
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	w.put(waiting("one", "web", "1"))
	r := w.loop()
	if len(r.Launches) != 1 || r.Launches[0].Mode != "SetDesiredCapacity" || r.Launches[0].Asked != 1 || r.Launches[0].Outcome.Code != decision.CodeLaunching {
		t.Fatalf("launches %+v, want one that AWS carries out on its own", r.Launches)
	}
	w.Eventually(func() string {
		if list := entries(w.record.Report(), decision.LaunchFailed); len(list) != 1 || list[0].Group != "dry" || list[0].Reason.Code != decision.CodeNoCapacity {
			return fmt.Sprintf("failed launches %+v, want one without capacity", list)
		}
		return ""
	})
}

// The core gives an instance up only where its group may have one node less. Elsewhere somebody else ends it.
func TestInstanceWithoutANodeStaysWhereItsGroupMayHaveNoFewer(t *testing.T) {
	const ends, stays = " (--max-node-provision-time)", ", and stays, because its group may have no fewer nodes"
	for name, tt := range map[string]struct {
		least  int
		tags   map[string]string
		forced bool
		want   string // at the end of the reason of both instances
		gone   int    // instances given up
	}{
		"above the minimum":                  {want: ends, gone: 2},
		"one above the minimum":              {least: 1, want: ends, gone: 1},
		"at the minimum":                     {least: 2, want: stays},
		"at the minimum, to go all the same": {least: 2, forced: true, want: ends, gone: 2},
		"paused":                             {tags: map[string]string{group.TagPaused: "scale-down"}, want: stays},
		"paused, to go all the same":         {tags: map[string]string{group.TagPaused: "scale-down"}, forced: true, want: stays},
	} {
		o := options()
		o.ForceDeleteLongUnregisteredNodes = tt.forced
		w := newWorld(t, onAWS(t, awsworld.Group("a", "m5.large", tt.least, 2, 5, tt.tags)), o)
		w.loop()
		late := w.View().Group("a").Instances
		w.at = w.at.Add(10 * time.Minute)
		r := w.loop()
		require.Lenf(t, r.Nodes, 2, "%s", name)
		for _, n := range r.Nodes {
			assert.Truef(t, strings.Contains(n.Reason.Message, "is given up at ") == (tt.want == ends) && strings.HasSuffix(n.Reason.Message, tt.want) &&
				strings.Contains(n.Reason.Remedy, "terminate-instance-in-auto-scaling-group") == (tt.want == stays), "%s: %+v", name, n.Reason)
		}
		w.at = w.at.Add(10 * time.Minute)
		w.loop()
		for _, i := range late {
			_ = w.AWS.Reclaim(i.ID) // an error says that it is terminated already
		}
		w.Eventually(func() string {
			w.Reread()
			r := w.loop()
			for _, n := range r.Nodes {
				if n.InstanceID == late[0].ID || n.InstanceID == late[1].ID {
					return fmt.Sprintf("%s: instance %+v is there", name, n)
				}
			}
			return ""
		})
		assert.Lenf(t, entries(w.record.Report(), decision.ScaleDown), tt.gone, "%s", name)
	}
}

// newUnlistedWorld is over an AWS that accepts launches and lists no instance.
func newUnlistedWorld(t *testing.T, o config.AutoscalingOptions, groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	on := awsworld.NewAWS(t, func(c *fakeaws.Config) { c.Delays.Listed = fakeaws.Duration(time.Hour) }, groups...)
	return newWorld(t, on, o, func(a *asg.Options) { a.LaunchMode = asg.LaunchDesiredCapacity })
}

// AWS has no capacity, and IAM denies the call that says so.
func TestInstancesThatAWSNeverLaunchedDidNotComeUp(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 0, 5, nil)), options(), func(a *asg.Options) { a.LaunchMode = asg.LaunchDesiredCapacity })
	w.AWS.AddShortage(fakeaws.Shortage{Group: "small"})
	w.AWS.Inject(fakeaws.Fault{Action: "DescribeScalingActivities", Code: "AccessDenied"})
	w.put(waiting("one", "web", "1"))
	w.loopTimes(2)
	w.at = w.at.Add(16 * time.Minute)
	reason := w.group(w.loop(), "small").Reason
	assert.Contains(t, reason.Message, `group "small" cannot grow now: no node got ready within 15m`)
	assert.Contains(t, reason.Remedy, "aws autoscaling describe-scaling-activities")
	w.loopTimes(2)
	g, _ := w.AWS.Group("small")
	require.Zero(t, g.Desired, "desired capacity once the request is taken back")
	assert.Empty(t, entries(w.record.Report(), decision.ScaleDown), "instances given up")
}

// AWS refuses a launch for good after the loop that asked for it is over. The node of an earlier launch comes all the same.
func TestRefusedLaunchIsNotOnItsWay(t *testing.T) {
	small := awsworld.Group("small", "m5.large", 0, 0, 5, nil)
	for comes, w := range map[bool]*world{false: newUnlistedWorld(t, options(), small), true: newWorld(t, onAWS(t, small), options())} {
		w.put(waiting("one", "web", "1"))
		w.loopTimes(2) // the second loop sees the instance
		for _, tt := range []struct {
			launch asg.Launch
			want   decision.PodState
		}{
			{asg.Launch{Group: "small", Call: "LaunchInstances", Asked: 1, Refused: "no such launch template", Class: awsmessage.Configuration}, decision.PodHelpless},
			{asg.Launch{Group: "small", Call: "LaunchInstances", Asked: 1, Launched: 1}, decision.PodLaunching},
			{asg.Launch{Group: "small", Call: "LaunchInstances", Asked: 1, Refused: "none left", Class: awsmessage.NoCapacity}, decision.PodHelpless},
			{asg.Launch{Group: "small", Call: "LaunchInstances", Asked: 2, Launched: 1, Refused: "no more", Class: awsmessage.NoCapacity}, decision.PodLaunching},
			{asg.Launch{Group: "small", Call: "LaunchInstances", Asked: 1, Refused: "slow down", Class: awsmessage.Throttle}, decision.PodLaunching},
		} {
			w.seen.Launched(tt.launch)
			p := w.pod(w.record.Report(), "one")
			if comes {
				tt.want = decision.PodLaunching
			}
			said := strings.Contains(p.Cause.Message, `the last launch in group "small" failed: `)
			assert.Truef(t, p.State == tt.want && said == (tt.want == decision.PodHelpless), "pod %+v after %+v, want it %s", p, tt.launch, tt.want)
		}
	}
}

// Another group lacks capacity in the pool of this one, whose own launch failed for a cause that lasts. Hours later it may be mended.
func TestOldFailureIsNoCauseOfACoolDown(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("a", "m5.large", 0, 0, 5, nil), awsworld.Group("b", "m5.large", 0, 0, 5, nil)), options())
	w.AWS.AddShortage(fakeaws.Shortage{Group: "a"})
	require.Error(t, w.Grow("a", 1))
	w.seen.Launched(asg.Launch{Group: "b", Call: "LaunchInstances", Asked: 1, Refused: "no such launch template", Class: awsmessage.Configuration})
	for _, want := range []string{"its last launch failed at ", "AWS has no capacity"} {
		g := w.group(w.loop(), "b")
		assert.Truef(t, g.State == decision.GroupCoolDown && strings.HasPrefix(g.Reason.Message, `group "b" cannot grow now`) && strings.Contains(g.Reason.Message, want),
			"group %+v, want %q", g, want)
		w.at = w.at.Add(time.Hour)
	}
}

// The nodes of one scale-up are balanced over two groups, of which AWS refuses one for good.
func TestOneRefusedLaunchOfSeveralLeavesTheOthers(t *testing.T) {
	o := options()
	o.BalanceSimilarNodeGroups = true
	w := newUnlistedWorld(t, o, awsworld.Group("a", "m5.large", 0, 0, 5, nil), awsworld.Group("b", "m5.large", 0, 0, 5, nil))
	w.put(waiting("one", "web", "1500m"), waiting("two", "web", "1500m"))
	r := w.loop()
	require.Len(t, entries(r, decision.ScaleUp), 2, "groups that grow")
	refused := func(group string) {
		w.seen.Launched(asg.Launch{Group: group, Call: "LaunchInstances", Asked: 1, Refused: "no such launch template",
			Class: awsmessage.Configuration})
	}
	first := w.pod(r, "one").Group
	other := map[string]string{"a": "b", "b": "a"}[first]
	refused(first)
	for range 2 { // loops: in the second the pods fit on the nodes that are on their way
		p := w.pod(w.record.Report(), "one")
		assert.Truef(t, p.State == decision.PodLaunching && p.Group == other, "pod %+v, want it to wait for the node of group %q", p, other)
		w.loop()
		refused(first)
	}
	refused(other)
	p := w.pod(w.record.Report(), "one")
	said := strings.Contains(p.Cause.Message, fmt.Sprintf("in group %q failed: ", first))
	assert.Truef(t, p.State == decision.PodHelpless && p.Group == first && said, "pod %+v, want it helpless after both launches failed", p)
}

// The race detector sees whether a reader and the loop use anything at the same time.
func TestReaderBesideTheLoop(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 9, nil), awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil)), options())
	w.join(w.ready("small")...)
	w.put(running("here", "here", "100m", "small-0"))
	done := make(chan struct{})
	read := make(chan int)
	go func() {
		reports := 0
		for {
			_, err := json.Marshal(w.record.Report())
			assert.NoError(t, err)
			reports++
			select {
			case <-time.After(time.Millisecond):
			case <-done:
				read <- reports
				return
			}
		}
	}()
	for n := range 10 {
		w.put(waiting(fmt.Sprint("one-", n), "web", "1"), waiting(fmt.Sprint("big-", n), "big", "64"))
		w.once()
	}
	close(done)
	n := <-read
	assert.Truef(t, n >= 2, "read %d reports", n)
}

func TestPodThatIsNotLookedForHasNoAnswers(t *testing.T) {
	o := options()
	o.NewPodScaleUpDelay = 10 * time.Minute
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 0, 5, nil)), o)
	w.put(waiting("young", "web", "1"))
	p := w.pod(w.loop(), "young")
	assert.Truef(t, p.State == decision.PodDelayed && p.Search == -1, "pod %+v, want it delayed, without a search", p)

	w = newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 0, 5, nil)), options())
	ahead := waiting("ahead", "web", "1")
	ahead.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Hour)) // by the API server's clock
	w.put(ahead)
	p = w.pod(w.loop(), "ahead")
	assert.NotContains(t, p.Cause.Message, "younger", "without a delay")
}

func TestPodThatGetsTheRoomOfOneThatIsEnding(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 5, nil)), options())
	w.join(w.ready("small")...)
	old, next := running("old", "web", "1500m", "small-0"), waiting("next", "web", "1500m")
	old.DeletionTimestamp, next.CreationTimestamp = ptr.To(metav1.NewTime(w.at.Add(30*time.Second))), metav1.NewTime(w.at)
	next.Annotations = map[string]string{annotations.PodScaleUpDelayAnnotationKey: "5m"}
	w.put(old, next)
	p := w.pod(w.loop(), "next")
	assert.Contains(t, p.Cause.Message, "it is younger than the 5m that pods wait for a scale-up", "with a delay of its own")
	next.Annotations = nil
	w.put(next)
	p = w.pod(w.loop(), "next")
	assert.Truef(t, p.State == decision.PodDelayed && p.Cause.Code == decision.CodeDelay, "pod %+v, want it delayed", p)
	assert.Contains(t, p.Cause.Message, "it fits once a pod that is ending has gone. A node is launched for it if it is still pending when it is 10s old")
	w.at = w.at.Add(10 * time.Second)
	p = w.pod(w.loop(), "next")
	assert.Truef(t, p.State == decision.PodLaunching, "pod %+v ten seconds later, want a node for it", p)
}

// The maximum of the group is dealt out to its zones. A zone without a share may take another zone's.
func TestZoneWithoutShareCanGrow(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Divided("web", "m5.large", 0, 3, 4), awsworld.Divided("full", "m5.large", 0, 3, 3)), options())
	r := w.loop()
	for _, zone := range []string{awsworld.ZoneA, awsworld.ZoneB, awsworld.ZoneC} {
		g := w.group(r, "web/"+zone)
		assert.Truef(t, g.State == decision.GroupReady && len(g.AtMax) == 0, "group %+v, want it ready", g)
		if g := w.group(r, "full/"+zone); g.State != decision.GroupFull || !strings.Contains(g.Reason.Remedy, "--auto-scaling-group-name full --max-size 4") {
			t.Errorf("group %+v, want it full, and the whole group's maximum raised", g)
		}
	}
}

// AZRebalance runs, and two zones offer none of the types. All of these are problems of one Auto Scaling group.
func TestBlockedZoneNamesItsOwnProblem(t *testing.T) {
	w := newWorld(t, awsworld.NewAWS(t, func(c *fakeaws.Config) { c.Offerings = map[string][]string{"m5.large": {awsworld.ZoneA}} },
		awsworld.Zoned(awsworld.Group("one", "m5.large", 0, 0, 9, nil), "abc")), options())
	w.NeedZones("one")
	for _, zone := range []string{awsworld.ZoneB, awsworld.ZoneC} {
		pod := waiting(zone, zone, "1")
		pod.Spec.NodeSelector = map[string]string{corev1.LabelTopologyZone: zone}
		w.put(pod)
	}
	w.Eventually(func() string {
		w.Reread()
		r := w.loop()
		said := map[string]int{}
		for _, g := range r.Groups {
			for _, p := range g.Problems {
				if _, zone, offered := strings.Cut(p.Message, "is offered in zone "); offered && !strings.HasPrefix(zone, strings.TrimPrefix(g.Name, "one/")) {
					return fmt.Sprintf("group %s has the problem %q of another zone", g.Name, p.Message)
				}
			}
			said[g.Reason.Message]++
		}
		for _, zone := range []string{awsworld.ZoneB, awsworld.ZoneC} {
			says := "none of its instance types is offered in zone " + zone + ", so nothing is launched there"
			if said[`Auto Scaling group "one": `+says] != 1 {
				return fmt.Sprintf("groups say %v, want %q once", said, says)
			}
			a := w.answer(r, zone, "one/"+zone)
			assert.Containsf(t, a.Reason.Message, says, "answer %+v of the group to the pod that needs its zone", a)
		}
		return ""
	})
}

func TestNodesThatStayAndGo(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 5, 5, nil)), options())
	nodes := w.ready("small")
	starting := nodes[3]
	starting.CreationTimestamp.Time = time.Now()
	starting.Status.Conditions[0].Status = corev1.ConditionFalse
	w.join(nodes...) // the core taints them in the API server
	w.put(noneMayGo(), running("busy", "busy", "1500m", "small-0"), bare("lone", "small-1"), running("kept", "kept", "100m", "small-4"), awsworld.Node("alien", "aws:///cn-northwest-1a/i-00000000000000000"))
	w.loop()
	w.at = w.at.Add(time.Minute)
	r := w.loop()
	for name, want := range map[string]struct {
		state decision.NodeState
		code  decision.Code
	}{
		"small-0": {decision.NodeNeeded, decision.CodeNeeded}, "small-1": {decision.NodeBlocked, decision.CodePod},
		"small-2": {decision.NodeUnneeded, decision.CodeUnneededDelay}, "small-3": {decision.NodeStarting, decision.CodeStarting},
		"small-4": {decision.NodeBlocked, decision.CodePod}, "alien": {decision.NodeNeeded, decision.CodeNotAutoscaled},
	} {
		n := w.node(r, name)
		assert.Truef(t, n.State == want.state && n.Reason.Code == want.code, "node %+v, want %s for %s", n, want.state, want.code)
	}
	if n := w.node(r, "small-1"); n.Pod != "default/lone" {
		t.Errorf("pod %q keeps the node, want default/lone", n.Pod)
	}
	if n := w.node(r, "small-4"); n.Pod != "default/kept" || !strings.Contains(n.Reason.Message, "none-may-go") {
		t.Errorf("node %+v, want the pod and its budget", n)
	}
	if n := w.node(r, "small-0"); n.Utilization < 0.7 || n.Utilization > 0.8 {
		t.Errorf("utilization %v, want 1.5 of 1.93 CPU", n.Utilization)
	}
	n := w.node(r, "small-2")
	if got := n.RemovalAt.Sub(n.Since); got != 10*time.Minute || n.Since.After(w.at.Add(-time.Minute)) {
		t.Errorf("unneeded since %v, goes %v later, want since the first loop and 10 minutes", n.Since, got)
	}
	g := w.group(r, "small")
	assert.Truef(t, g.Ready == 4 && g.Starting == 1, "group %+v, want 4 nodes ready and one starting", g)

	w.at = w.at.Add(10 * time.Minute)
	r = w.loop()
	if list := entries(r, decision.ScaleDown); len(list) != 1 || list[0].Node != "small-2" || list[0].Group != "small" {
		t.Errorf("scale-downs %+v, want the node that is not needed", list)
	}
}

// The core takes any of them, up to the minimum of their group.
func TestIdleNodesBeyondWhatTheMinimumLetsGo(t *testing.T) {
	for least, sure := range map[int]bool{0: true, 1: false} {
		w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", least, 2, 5, nil)), options())
		w.join(w.ready("small")...)
		w.loop()
		nodes := w.loop().Nodes
		require.Len(t, nodes, 2)
		for _, n := range nodes {
			assert.Equal(t, decision.CodeUnneededDelay, n.Reason.Code)
			assert.Truef(t, !n.RemovalAt.IsZero() && sure != strings.HasSuffix(n.Reason.Message, `, if group "small" has more than its minimum then`),
				"with a minimum of %d, node %+v", least, n)
		}
	}
}

// The core of a plugin decides in its own process, and the plugin does not know which nodes have pods. It does not carry out what the annotation
// of an earlier process says.
func TestNodesOfAPluginAreNotKept(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 2, 2, 5, nil)), options())
	nodes, moves := w.ready("small"), move.State{Reason: move.Rotation, Step: move.Placing}
	metav1.SetMetaDataAnnotation(&nodes[0].ObjectMeta, move.Annotation, moves.Text())
	w.join(nodes...)
	w.seen.Remote = true
	w.seen.Begin("refresh", w.at)
	w.seen.End()
	n := w.node(w.record.Report(), "small-0")
	const decides = "the Cluster Autoscaler decides about it in its own process"
	assert.Truef(t, n.State == decision.NodeNeeded && n.Reason.Message == decides && n.Move == nil, "node %+v", n)
	assert.Equal(t, "the Cluster Autoscaler decides in its own process", w.record.Report().Loop.Result.Message)
	w.seen.Begin(decision.Silence, w.at)
	w.seen.End()
	assert.Equal(t, "no Cluster Autoscaler calls this plugin", w.record.Report().Loop.Result.Message)
}

// The core forgets since when nodes are not needed while too many nodes are not ready.
func TestUnneededTimeBeginsAnewAfterAnUnhealthyLoop(t *testing.T) {
	o := options()
	o.OkTotalUnreadyCount = 0
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 2, 5, nil)), o)
	nodes := w.ready("small")
	w.join(nodes...)
	w.put(running("busy", "busy", "1500m", "small-0"))
	busy := nodes[0]
	busy.CreationTimestamp = metav1.NewTime(w.at.Add(-time.Hour))
	for _, ready := range []corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionTrue} {
		busy = busy.DeepCopy()
		busy.Status.Conditions[0].Status = ready
		w.put(busy)
		w.at = w.at.Add(time.Minute)
		r := w.loop()
		assert.Equalf(t, ready == corev1.ConditionFalse, r.Loop.Result.Code == decision.CodeUnhealthy, "loop %+v", r.Loop)
		assert.Equal(t, ready == corev1.ConditionFalse, w.seen.Halted(), "halted, so that AWS replaces what it takes")
		n := w.node(r, "small-1")
		assert.Truef(t, ready == corev1.ConditionFalse || n.RemovalAt.Equal(w.at.Add(10*time.Minute)),
			"node %+v, want it to go 10 minutes after %v", n, w.at)
	}
}

// The core forgets since when nodes are not needed that are no candidates, and takes its taint off them.
func TestOldReadingForbidsRemovalAndUnneededTimesGoOn(t *testing.T) {
	o, now := options(), testclock.NewFakeClock(time.Now())
	o.MaxBulkSoftTaintCount, o.MaxBulkSoftTaintTime = 10, time.Minute
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 2, 5, nil)), o, func(o *asg.Options) { o.Clock = now })
	nodes := w.ready("small")
	w.join(nodes...)
	w.put(running("busy", "busy", "1500m", "small-0"))
	w.loop()
	w.AWS.Deny("DescribeAutoScalingGroups")
	now.Step(3*time.Minute + time.Second)
	for range 3 {
		w.at = w.at.Add(4 * time.Minute)
		for _, n := range w.loop().Nodes {
			assert.Equalf(t, decision.CodeStale, n.Reason.Code, "node %+v", n)
		}
		assert.True(t, taints.HasDeletionCandidateTaint(w.stored("small-1")))
	}
	assert.Equal(t, 2, w.desired())
	w.AWS.ClearFaults()
	w.Reread()
	w.loop()
	w.gone(1)
}

// The core keeps what it found out about nodes before, and hands it over in each loop.
func TestNoNodeGoesInAnUnhealthyCluster(t *testing.T) {
	o := options()
	o.OkTotalUnreadyCount = 0
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 3, 5, nil)), o)
	nodes := w.ready("small")
	for _, n := range nodes {
		n.CreationTimestamp = metav1.NewTime(w.at.Add(-time.Hour))
	}
	w.join(nodes...)
	alone := running("alone", "alone", "100m", "small-2")
	nodemeta.DoNotDisrupt.Set(alone, "1h")
	w.put(bare("lone", "small-0"), running("busy", "busy", "1500m", "small-1"), alone)
	assert.Equal(t, "default/alone", w.node(w.loop(), "small-2").Pod, "the pod that asks to be left alone")
	looked := w.at
	for _, name := range []string{"small-1", "small-2"} {
		n := find(w, name, nodes, func(n *corev1.Node) string { return n.Name }).DeepCopy()
		n.Status.Conditions[0].Status = corev1.ConditionFalse
		w.update(n)
	}
	want := decision.Reason{Code: decision.CodeUnhealthy, Remedy: "kubectl get nodes",
		Message: "no node goes: too many nodes of the cluster are not ready (--max-total-unready-percentage, --ok-total-unready-count)"}
	for range 2 {
		w.at = w.at.Add(time.Minute)
		for _, n := range w.loop().Nodes {
			assert.Truef(t, n.State == decision.NodeBlocked && n.Reason == want && n.RemovalAt.IsZero(), "node %+v", n)
		}
	}

	w.put(nodes[1], nodes[2])
	n := w.node(w.loop(), "small-0")
	assert.Truef(t, n.Reason.Code == decision.CodePod && n.Since.Equal(looked) &&
		strings.Contains(n.Reason.Message, "(as of "+looked.UTC().Format("15:04:05 UTC")),
		"node %+v, want it blocked as of %v", n, looked)
}

// It may have ended on its own, or by hand. Its node stays for a while.
func TestNodeOfATerminatedInstanceSaysSo(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 2, 5, nil)), options())
	nodes := w.ready("small")
	stranger := nodes[1].DeepCopy()
	stranger.Name, stranger.Spec.ProviderID = "stranger", "aws:///cn-northwest-1a/i-0fffffffffffffff0"
	stranger.Annotations = map[string]string{"k8s.io/cluster-autoscaler-enabled": "false"}
	w.join(append(nodes, stranger)...)
	w.loop()
	id := nodemeta.InstanceOf(nodes[0])
	require.NoError(t, w.AWS.Reclaim(id))
	w.Eventually(func() string {
		w.Reread()
		if has, err := w.HasInstance(nodes[0]); has || err != nil || w.View().Group("small").Instance(id) != nil {
			return fmt.Sprintf("HasInstance = %t, %v", has, err)
		}
		return ""
	})
	n := w.node(w.loop(), "small-0")
	assert.Truef(t, n.State == decision.NodeLeaving && n.Reason.Message == "its instance has been terminated, and Kubernetes deletes the node" &&
		n.InstanceID == id && strings.Contains(n.Reason.Remedy, " --instance-ids "+id), "node %+v", n)
	assert.Equal(t, "it belongs to no group of this autoscaler", w.node(w.record.Report(), "stranger").Reason.Message)
}

// The core looks at no more nodes than it may remove soon, and at none of a group that changed a short time ago.
func TestReadyNodeThatTheCoreDoesNotLookAtIsNotStarting(t *testing.T) {
	for local, says := range map[bool]string{false: "it has not been looked at yet, because other nodes go first",
		true: "no node of its group goes for a while after another change of the group"} {
		o := options()
		o.MaxScaleDownParallelism, o.ScaleDownDelayTypeLocal = 1, local
		w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 6, 6, nil)), o)
		nodes := w.ready("small")
		for _, n := range nodes {
			n.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Minute)) // Ready, and younger than a node may take to start
		}
		w.join(nodes...)
		r := w.loop()
		said := map[decision.NodeState]int{}
		for _, n := range r.Nodes {
			said[n.State]++
			assert.Truef(t, n.State == decision.NodeUnneeded || n.Reason.Message == says, "node %+v, want it unneeded or %q", n, says)
		}
		g := w.group(r, "small")
		assert.Truef(t, said[decision.NodeNeeded] > 0 && said[decision.NodeUnneeded] > 0 && g.Ready == 6 && g.Starting == 0, "states %v, group %+v, want all nodes ready", said, g)
	}
}

// The core drains a limited number of nodes at a time, and an empty one goes meanwhile. It waits for no instance that it has terminated, which
// another tool's hook may hold up for long.
func TestNodeThatWaitsForADrainSaysSo(t *testing.T) {
	o := options()
	o.MaxDrainParallelism = 0 // the node that is drained is none of the core's own
	hooked := awsworld.Group("small", "m5.large", 0, 3, 5, nil)
	hooked.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "copy-logs", Transition: "terminating", HeartbeatTimeout: fakeaws.Duration(time.Hour)}}
	w := newWorld(t, onAWS(t, hooked), o)
	nodes := w.ready("small")
	nodes[0].Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Value: fmt.Sprint(time.Now().Unix()), Effect: corev1.TaintEffectNoSchedule}}
	w.put(nodes[0], running("drained", "drained", "100m", "small-0"), running("busy", "busy", "1", "small-1"), running("idle", "idle", "100m", "small-2"),
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "idle-abc"}})
	w.join(nodes[1:]...)
	w.loop()
	w.at = w.at.Add(11 * time.Minute)
	n := w.node(w.loop(), "small-2")
	assert.Truef(t, n.State == decision.NodeUnneeded && n.Reason.Message == "it is not needed and goes after 1 other node (--max-drain-parallelism=0)", "node %+v", n)

	require.NoError(t, w.NodeGroup("small").DeleteNodes(nodes[:1]))
	w.Reread()
	r := w.loop()
	n = w.node(r, "small-2")
	assert.Truef(t, n.State == decision.NodeBlocked && n.Reason.Message == "it is not needed, but no such node goes with --max-drain-parallelism below 1", "node %+v", n)
	assert.Equal(t, "its instance is being terminated", w.node(r, "small-0").Reason.Message)
	g := w.group(r, "small")
	assert.Equal(t, [3]int{2, 2, 0}, [3]int{g.Desired, g.Ready, g.Starting}, "desired, ready and starting")
}

// AWS would refuse to terminate the drained node. The tag has the group grow no more, and says nothing of its nodes.
func TestNodesStayWhileTerminateIsSuspended(t *testing.T) {
	g := awsworld.Group("small", "m5.large", 0, 2, 5, map[string]string{group.TagPaused: "scale-up until=2126-12-01T06:00Z"})
	g.SuspendedProcesses = []string{"Terminate"}
	w := newWorld(t, onAWS(t, g), options())
	w.join(w.ready("small")...)
	w.put(running("busy", "busy", "1500m", "small-0"), running("idle", "idle", "100m", "small-1"),
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "idle-abc"}})
	for range 3 {
		r := w.loop()
		n, p := w.node(r, "small-1"), w.group(r, "small").Paused
		assert.Truef(t, n.State == decision.NodeBlocked && n.Reason.Message == `scale-down of group "small" is paused, because its process Terminate is suspended` &&
			strings.Contains(n.Reason.Remedy, "--scaling-processes Terminate --auto-scaling-group-name small"), "node %+v", n)
		assert.Truef(t, p != nil && p.ScaleUp && p.ScaleDown &&
			p.Reason.Message == `scale-up of group "small" is paused until 2126-12-01 06:00:00 UTC by its tag asg-autoscaler.github.io/paused`, "group paused %+v", p)
		w.at = w.at.Add(6 * time.Minute)
	}
	stored := w.stored("small-1")
	assert.Truef(t, len(stored.Spec.Taints) == 0 && w.evicted() == "" && w.AWS.Calls()["TerminateInstanceInAutoScalingGroup"] == 0,
		"taints %v, evicted %q, calls %v, want none", stored.Spec.Taints, w.evicted(), w.AWS.Calls())
}

// The core looks into a blocked node every five minutes. In between it says only that it has done so.
func TestBlockedNodeKeepsItsReason(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 5, nil)), options())
	w.join(w.ready("small")...)
	w.put(bare("lone", "small-0"))
	w.once()
	first := w.at
	for range 3 {
		w.at = w.at.Add(time.Minute)
		n := w.node(w.loop(), "small-0")
		require.Truef(t, n.Reason.Code == decision.CodePod && n.Pod == "default/lone" && n.State == decision.NodeBlocked && n.Since.Equal(first),
			"node %+v in loop %d, want the pod that blocks it since %v, when nobody read the record", n, w.record.Report().Loop.Number, first)
	}
}

// The budget and the pod may be gone before the core looks again.
func TestBlockedNodeKeepsItsBudgetAndTheTime(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 5, nil)), options())
	budget := noneMayGo()
	w.join(w.ready("small")...)
	w.put(running("api", "api", "100m", "small-0"), budget)
	w.loop()
	looked := w.at
	require.NoError(t, w.factory.Policy().V1().PodDisruptionBudgets().Informer().GetIndexer().Delete(budget))
	want := fmt.Sprintf("(as of %s, looked at again at %s)", looked.UTC().Format("15:04:05 UTC"),
		looked.Add(options().UnremovableNodeRecheckTimeout).UTC().Format("15:04:05 UTC"))
	if n := w.node(w.loop(), "small-0"); !strings.Contains(n.Reason.Message, `"none-may-go"`) || !strings.HasSuffix(n.Reason.Message, want) {
		t.Errorf("node %+v, want the budget of the last look and %s", n, want)
	}
}

func TestFailedRemovalIsRecordedOnce(t *testing.T) {
	record := decision.New(decision.Process{}, clock.RealClock{})
	nodes := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	require.NoError(t, nodes.Add(n))
	c := decisions.ScaleDown{Collector: decisions.New(decisions.Config{Record: record, Nodes: corelisters.NewNodeLister(nodes)})}
	result := func(kind scaledownstatus.NodeDeleteResultType, err error) {
		c.Process(nil, &scaledownstatus.ScaleDownStatus{ScaledDownNodes: []*scaledownstatus.ScaleDownNode{{Node: n}}})
		c.Process(nil, &scaledownstatus.ScaleDownStatus{NodeDeleteResults: map[string]scaledownstatus.NodeDeleteResult{"n": {ResultType: kind, Err: err}}})
	}
	denied := errors.New("AccessDenied: User: arn:aws:sts::1:assumed-role/ca/x is not authorized to perform: autoscaling:TerminateInstanceInAutoScalingGroup")
	result(scaledownstatus.NodeDeleteErrorFailedToDelete, denied)
	result(scaledownstatus.NodeDeleteErrorFailedToDelete, denied)
	result(scaledownstatus.NodeDeleteOk, nil)
	result(scaledownstatus.NodeDeleteErrorFailedToDelete, denied)
	require.NoError(t, nodes.Delete(n)) // somebody else removed it, and a later node has its name
	c.Process(nil, &scaledownstatus.ScaleDownStatus{})
	require.NoError(t, nodes.Add(n))
	result(scaledownstatus.NodeDeleteOk, nil)
	result(scaledownstatus.NodeDeleteErrorFailedToDelete, denied)
	c.Begin("", time.Time{}.Add(time.Hour+time.Second)) // the node was needed, and somebody has allowed it meanwhile
	c.Process(nil, &scaledownstatus.ScaleDownStatus{})
	result(scaledownstatus.NodeDeleteOk, nil)
	var got []string
	for _, e := range record.Report().Timeline {
		got = append(got, string(e.Kind)+" "+e.Reason.Message)
	}
	want := []string{"scale-down not needed at a utilization of 0 %",
		"problem its removal failed, and is tried again: AWS denied autoscaling:TerminateInstanceInAutoScalingGroup",
		"scale-down not needed at a utilization of 0 %", "scale-down not needed at a utilization of 0 %",
		"problem its removal failed, and is tried again: AWS denied autoscaling:TerminateInstanceInAutoScalingGroup",
		"scale-down not needed at a utilization of 0 %", "scale-down removed after failed attempts",
		"problem its removal failed, and is tried again: AWS denied autoscaling:TerminateInstanceInAutoScalingGroup",
		"scale-down not needed at a utilization of 0 %"}
	assert.Empty(t, cmp.Diff(want, got), "timeline (-want +got)")
}

func TestProblemComesAndGoes(t *testing.T) {
	bad := awsworld.Group("bad", "m5.large", 0, 0, 5, map[string]string{awsworld.Template + "taint/gpu": "without effect"})
	foreign := awsworld.Group("theirs", "m5.large", 0, 0, 5, nil)
	foreign.Operator = "eks.amazonaws.com"
	w := newWorld(t, onAWS(t, bad, foreign), options())
	w.put(waiting("one", "web", "64"))
	r := w.loop()
	g := w.group(r, "bad")
	assert.Truef(t, len(g.Problems) == 1 && g.Problems[0].Code == decision.CodeDegraded, "problems %+v, want the tag", g.Problems)
	if g := w.group(r, "theirs"); g.State != decision.GroupDegraded || g.Reason.Code != decision.CodeOtherCluster {
		t.Errorf("group %+v, want it left to its operator", g)
	}
	if a := w.answer(r, "one", "theirs"); a.Verdict != decision.Skipped || a.Reason.Code != decision.CodeOtherCluster {
		t.Errorf("answer %+v, want it skipped as another cluster's", a)
	}
	assert.Len(t, entries(r, decision.Problem), 2, "problems in the timeline, want both")
	set := func(value *string) {
		require.NoError(t, w.AWS.SetTags("bad", map[string]*string{awsworld.Template + "taint/gpu": value}))
		w.Reread()
	}
	set(ptr.To("no effect either"))
	assert.Empty(t, entries(w.loop(), decision.Mended), "mended, want nothing, because the tag is as bad with another value")
	set(nil)
	list := entries(w.loop(), decision.Mended)
	assert.Truef(t, len(list) == 1 && list[0].Group == "bad" && list[0].Reason.Remedy == "", "mended %+v, want the tag and no next step", list)
}

// More groups are concerned than before, which is no end of the problem.
func TestCallThatAWSAnswersForNoGroupIsAProblemOfEach(t *testing.T) {
	names := []string{"a", "b", "c"}
	w := newWorld(t, onAWS(t, awsworld.Group("a", "m5.large", 0, 0, 9, nil), awsworld.Group("b", "m5.large", 0, 0, 9, nil),
		awsworld.Group("c", "m5.large", 0, 0, 9, nil)), options())
	w.AWS.Inject(fakeaws.Fault{Action: "LaunchInstances", Code: "InternalFailure"})
	var r *decision.Report
	for _, name := range names {
		require.NoError(t, w.Grow(name, 1))
		r = w.loop()
		assert.Empty(t, entries(r, decision.Mended), "mended, while AWS still does not answer")
	}
	for _, name := range names {
		g := w.group(r, name)
		require.Lenf(t, g.Problems, 1, "group %+v", g)
		assert.Contains(t, g.Problems[0].Message, "All Auto Scaling groups: AWS does not answer LaunchInstances")
	}
}

func TestGroupThatLeavesTheReadingsStaysVisible(t *testing.T) {
	db := awsworld.Group("db", "m5.large", 0, 0, 5, map[string]string{awsworld.Template + "label/pool": "db"})
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 0, 5, nil), awsworld.Group("old", "m5.large", 0, 0, 5, nil), db), options())
	pod := waiting("one", "web", "1")
	pod.Spec.NodeSelector = map[string]string{"pool": "db"}
	w.put(pod)
	w.loop()
	key, yes := "k8s.io/cluster-autoscaler/enabled", "true"
	require.NoError(t, errors.Join(w.AWS.DeleteGroup("old"), w.AWS.SetTags("db", map[string]*string{key: nil, "k8s.io/cluster-autoscaler/Enabled": &yes})))
	var r *decision.Report
	var cause decision.Reason
	w.Eventually(func() string { // a group stays while AWS is being asked for its node
		w.Reread()
		r = w.loop()
		cause = w.pod(r, "one").Cause
		return map[bool]string{false: cause.Message}[strings.HasPrefix(cause.Message, `group "db" is no longer served since `)]
	})
	if !strings.HasPrefix(cause.Message, `group "db" is no longer served since `) ||
		!strings.HasSuffix(cause.Message, "its tag "+key+" is missing (it has k8s.io/cluster-autoscaler/Enabled)") ||
		!strings.Contains(cause.Remedy, `"ResourceId":"db","ResourceType":"auto-scaling-group","Key":"`+key+`","Value":"true"`) {
		t.Errorf("cause %+v, want the missing tag", cause)
	}
	g := w.group(r, "db")
	assert.Truef(t, g.State == decision.GroupDegraded && g.Reason.Remedy == cause.Remedy, "group %+v, want it visible with the step", g)
	g = w.group(r, "old")
	assert.Truef(t, strings.HasSuffix(g.Reason.Message, "AWS has no group of this name any more"), "group %+v, want it deleted", g)
	assert.Len(t, entries(r, decision.Problem), 2, "problems in the timeline, want both groups")
	typo := waiting("typo", "typo", "1")
	typo.Spec.NodeSelector = map[string]string{"pool": "bd"}
	w.put(typo)
	assert.Equal(t, "no group has nodes with the label pool=bd, groups have pool=db", w.pod(w.loop(), "typo").Cause.Message,
		"cause of a pod that no group would take, want its selector")
	require.NoError(t, w.AWS.SetTags("db", map[string]*string{key: &yes}))
	w.Reread()
	list := entries(w.loop(), decision.Mended)
	assert.Truef(t, len(list) == 1 && list[0].Group == "db", "mended %+v, want the group that is back", list)
}

func TestInterruptedNode(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("small", "m5.large", 0, 1, 5, nil)), options())
	node := w.ready("small")[0]
	began := time.Now().Truncate(time.Second)
	node.Annotations = map[string]string{interruption.Taint: fmt.Sprintf(`{"kind": "spot", "reason": "EC2 takes the instance back (terminate)", "began": %q}`,
		began.UTC().Format(time.RFC3339))}
	w.put(node)
	w.seen.Draining("small-0", "small", "EC2 takes the instance back (terminate)")
	r := w.loop()
	if n := w.node(r, "small-0"); n.State != decision.NodeDraining || n.Reason.Code != decision.CodeInterruption || !n.Since.Equal(began) ||
		!strings.Contains(n.Reason.Message, "EC2 takes the instance back") {
		t.Errorf("node %+v, want it drained for the interruption", n)
	}
	list := entries(r, decision.Interrupted)
	assert.Truef(t, len(list) == 1 && list[0].Node == "small-0" && list[0].Group == "small", "interruptions %+v", list)
}

// ready waits for the group's instances, and returns their nodes.
func (w *world) ready(group string) []*corev1.Node {
	w.T.Helper()
	w.Eventually(func() string {
		g := w.View().Group(group)
		for _, i := range g.Instances {
			if i.Lifecycle != "InService" {
				return fmt.Sprintf("instance %s is %s", i.ID, i.Lifecycle)
			}
		}
		if len(g.Instances) < g.DesiredCapacity {
			return fmt.Sprintf("%d instances of %d", len(g.Instances), g.DesiredCapacity)
		}
		return ""
	})
	nodes := w.Members(group, nil)
	for _, n := range nodes {
		n.UID = types.UID(n.Name)
	}
	return nodes
}

// The core gives up a launch whose nodes have registered, and never get Ready.
func TestNodesThatDoNotGetReadyAreNoMissingInstances(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("web", "m5.large", 0, 1, 5, nil)), options())
	node := w.ready("web")[0]
	node.CreationTimestamp, node.Status.Conditions[0].Status = metav1.NewTime(w.at.Add(-14*time.Minute)), corev1.ConditionFalse
	w.join(node)
	w.backoff.Backoff(w.NodeGroup("web"), nil, cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "timeout"}, w.at)
	g := w.group(w.loop(), "web")
	says := `group "web" cannot grow now: 1 node registered and did not get ready within 15m `
	assert.Truef(t, strings.HasPrefix(g.Reason.Message, says) && g.Reason.Remedy == "kubectl describe node web-0", "group %+v, want %q", g, says)
}

// No loop of the core changes the metric of a group that is gone, such as the view of a zone whose subnet was taken out.
func TestBackoffInTheMetricsEndsWithItsGroup(t *testing.T) {
	registerCoresMetrics()
	w := newWorld(t, onAWS(t, awsworld.Group("gone", "m5.large", 0, 0, 5, nil), awsworld.Group("web", "m5.large", 0, 0, 5, nil)), options())
	w.join(awsworld.Node("other", "")) // the core's loop ends early in an empty cluster
	w.backoff.Backoff(w.NodeGroup("gone"), nil, cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "timeout"}, w.at)
	shows := func(want float64, when string) {
		t.Helper()
		value, values := metric(t, legacyregistry.DefaultGatherer, "cluster_autoscaler_node_group_backoff_status", "gone")
		require.Equal(t, 1, values, when)
		require.InDelta(t, want, value, 0, when)
	}
	w.loop()
	shows(1, "the group is backed off")
	require.NoError(t, w.AWS.DeleteGroup("gone"))
	w.Reread()
	w.loop()
	shows(0, "the group is gone")
}

func TestBackoffEndsOnceTheGroupIsMended(t *testing.T) {
	w := newWorld(t, onAWS(t, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), options())
	b := w.seen.NewBackoff(nodegroups.NewPauses(5*time.Minute, 30*time.Minute, 3*time.Hour))
	group := w.Provider.NodeGroups()[0]
	pauses := func() bool { return b.BackoffStatus(group, nil, w.at).IsBackedOff }
	b.Backoff(group, nil, cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OtherErrorClass, ErrorCode: "InvalidLaunchTemplate"}, w.at)
	assert.True(t, pauses(), "the group is tried again, although nothing has changed")
	for _, step := range []struct {
		deed    fakeaws.DeedKind
		blocked bool
	}{{fakeaws.SuspendProcesses, true}, {fakeaws.ResumeProcesses, false}} {
		require.NoError(t, w.AWS.Do(fakeaws.Deed{Kind: step.deed, Group: "web", Processes: []string{"Launch"}}))
		w.Eventually(func() string {
			_ = w.Cache.Refresh(t.Context())
			return cmp.Diff([2]bool{step.blocked, step.blocked}, [2]bool{pauses(), w.Provider.View().Group("web").Blocked()})
		})
	}
}
