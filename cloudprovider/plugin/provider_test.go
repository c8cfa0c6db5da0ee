package plugin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupconfig"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	corelisters "k8s.io/client-go/listers/core/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plugin"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestCoreSeesTheBuiltInGroups(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 1, 5, map[string]string{
		awsworld.Template + "taint/dedicated":                           "gpu:NoSchedule",
		awsworld.Template + "autoscaling-options/scaledownunneededtime": "30s",
	}))
	p := serve(t, w, 5*time.Second)
	built, core := w.NodeGroup("gpu"), p.group(t, "gpu")
	if got, want := fmt.Sprint(core.MinSize(), core.MaxSize(), core.Debug()), fmt.Sprint(built.MinSize(), built.MaxSize(), built.Debug()); got != want {
		t.Errorf("limits and name = %s, want %s", got, want)
	}
	size, err := core.TargetSize()
	assert.Truef(t, err == nil && size == 1, "target size = %d, %v, want 1", size, err)
	want, err := built.TemplateNodeInfo()
	require.NoError(t, err)
	nodemeta.NodeGroup.Set(want.Node(), "gpu")
	got, err := core.TemplateNodeInfo()
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff(want.Node(), got.Node(), cmpopts.EquateApproxTime(time.Hour)), "template (-built in +plugin)")
	defaults := config.NodeGroupAutoscalingOptions{ScaleDownUtilizationThreshold: .4, ScaleDownGpuUtilizationThreshold: .6, ScaleDownUnneededTime: time.Minute,
		ScaleDownUnreadyTime: 2 * time.Minute, MaxNodeProvisionTime: 3 * time.Minute, IgnoreDaemonSetsUtilization: true}
	wantOptions, _ := built.GetOptions(defaults)
	if options, err := core.GetOptions(defaults); err != nil || *options != *wantOptions || options.ScaleDownUnneededTime != 30*time.Second {
		t.Errorf("options = %+v, %v, want %+v", options, err, wantOptions)
	}
	wantInstances, _ := built.Nodes()
	instances, err := core.Nodes()
	diff := cmp.Diff(wantInstances, instances)
	assert.Truef(t, err == nil && diff == "", "instances, %v (-built in +plugin):\n%s", err, diff)
	group, err := p.core.NodeGroupForNode(w.Nodes("gpu")[0])
	assert.Truef(t, err == nil && group != nil && group.Id() == "gpu", "group of the node = %v, %v, want gpu", group, err)
	group, err = p.core.NodeGroupForNode(awsworld.Node("other", "aws:///cn-northwest-1a/i-0123456789abcdef0"))
	assert.Truef(t, err == nil && group == nil, "group of a node of nobody = %v, %v, want none", group, err)
	if got, want := p.core.GetAvailableGPUTypes(), w.GetAvailableGPUTypes(); cmp.Diff(want, got) != "" || p.core.GPULabel() != w.GPULabel() {
		t.Errorf("GPU label %q and types %v, want %q and %v", p.core.GPULabel(), got, w.GPULabel(), want)
	}
	now := time.Now()
	wantPrice, _ := w.Costs().NodePrice(want.Node(), now, now.Add(time.Hour))
	pricing, _ := p.core.Pricing()
	price, err := pricing.NodePrice(got.Node(), now, now.Add(time.Hour))
	assert.Truef(t, err == nil && price == wantPrice && price > 0, "price of the template = %v, %v, want %v", price, err, wantPrice)
	if price, err := pricing.PodPrice(pod("p", "1"), now, now.Add(time.Hour)); err != nil || price <= 0 {
		t.Errorf("price of a pod = %v, %v, want one", price, err)
	}
}

// The core takes options without a MaxNodeStartupTime to say that a node which is not Ready is broken.
func TestOptionsOfGroupAwaitItsStartingNodes(t *testing.T) {
	const defaults, tagged = time.Minute, 30 * time.Second
	aged := func(age time.Duration, ready corev1.ConditionStatus, labels ...string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.CreationTimestamp, n.Status.Conditions[0].Status = metav1.NewTime(time.Now().Add(-age)), ready
			for _, label := range labels {
				n.Labels = map[string]string{label: "nvidia-tesla-t4"}
			}
		}
	}
	tags := map[string]string{awsworld.Template + "autoscaling-options/scaledownunneededtime": tagged.String()}
	quick := map[string]string{awsworld.Template + "autoscaling-options/scaledownunneededtime": tagged.String(),
		awsworld.Template + "autoscaling-options/maxnodestartuptime": "2m"}
	for _, tt := range []struct {
		name   string
		tags   map[string]string
		node   func(*corev1.Node)
		before func(*corev1.Node) // the node at the Refresh before, nil for the same
		want   time.Duration      // ScaleDownUnneededTime
	}{
		{name: "no options", node: aged(time.Hour, corev1.ConditionTrue), want: defaults},
		{name: "Ready for long", tags: tags, node: aged(time.Hour, corev1.ConditionTrue), want: tagged},
		{name: "Ready since it registered a moment ago", tags: tags, node: aged(time.Second, corev1.ConditionTrue), want: defaults},
		{name: "not Ready yet", tags: tags, node: aged(10*time.Minute, corev1.ConditionFalse), want: defaults},
		{name: "not Ready in time", tags: tags, node: aged(time.Hour, corev1.ConditionFalse), want: tagged},
		{name: "not Ready in the time of the tag", tags: quick, node: aged(10*time.Minute, corev1.ConditionFalse), want: tagged},
		{name: "no GPU yet", tags: tags, node: aged(10*time.Minute, corev1.ConditionTrue, "k8s.amazonaws.com/accelerator"), want: defaults},
		{name: "closed by an agent that is not ready", tags: tags, node: func(n *corev1.Node) {
			aged(10*time.Minute, corev1.ConditionTrue)(n)
			n.Spec.Taints = []corev1.Taint{{Key: "agent-not-ready", Effect: corev1.TaintEffectNoSchedule}}
		}, want: defaults},
		{name: "Ready since the last Refresh", tags: tags, node: aged(10*time.Minute, corev1.ConditionTrue), before: aged(10*time.Minute, corev1.ConditionFalse),
			want: defaults},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 1, 5, tt.tags))
			p := serve(t, w, 5*time.Second)
			node := w.Members("web", nil)[0]
			for _, change := range []func(*corev1.Node){tt.before, tt.node} {
				if change == nil {
					continue
				}
				node = node.DeepCopy()
				change(node)
				require.NoError(t, p.nodes.Update(node))
				require.NoError(t, p.core.Refresh())
			}
			core := nodegroupconfig.NewDefaultNodeGroupConfigProcessor(config.NodeGroupAutoscalingOptions{ScaleDownUnneededTime: defaults,
				MaxNodeStartupTime: 10 * time.Minute})
			got, err := core.GetScaleDownUnneededTime(p.group(t, "web"))
			startup, errStartup := core.GetMaxNodeStartupTime(p.group(t, "web"))
			assert.Truef(t, err == nil && errStartup == nil && got == tt.want && (got == defaults) == (startup == 10*time.Minute),
				"options = %v, %v, and time to start %v, %v, want %v", got, err, startup, errStartup, tt.want)
		})
	}
}

// A group without a template would stop the scale-ups of all groups while an instance of it is on its way.
func TestNoPodFitsTemplateOfUnknownGroup(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("unknown", "x9z.large", 0, 0, 5, nil)), 5*time.Second)
	info, err := p.group(t, "unknown").TemplateNodeInfo()
	require.NoError(t, err)
	node := info.Node()
	assert.Truef(t, nodemeta.Placeholder.On(node) && node.Spec.Unschedulable && len(node.Status.Allocatable) == 0,
		"template = %v, want a placeholder", node)
}

func TestOneSnapshotForEachRefresh(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil))
	p := serve(t, w, 5*time.Second)
	require.NoError(t, w.AWS.SetDesired("web", 2))
	require.NoError(t, w.Cache.Refresh(t.Context()))
	size, _ := p.group(t, "web").TargetSize()
	assert.Equal(t, 0, size, "target size before Refresh, want the size of the Snapshot in use, 0")
	require.NoError(t, p.core.Refresh())
	size, _ = p.group(t, "web").TargetSize()
	assert.Equal(t, 2, size, "target size after Refresh")
}

// A core that drains a node during an outage of AWS has moved its pods for nothing.
func TestOldReadingKeepsEachNode(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	w := awsworld.NewStill(t, awsworld.Group("web", "m5.large", 1, 3, 5, nil), func(c *asg.Options, o *aws.Options) {
		c.MotionInterval, c.Clock, o.Clock = time.Second, now, now
	})
	p := serve(t, w, 5*time.Second)
	for _, step := range []struct {
		after time.Duration
		read  bool
		want  int
	}{{want: 1}, {after: 3*time.Minute + time.Second, want: 3}, {after: time.Second, read: true, want: 1}} {
		now.Step(step.after)
		if step.read {
			require.NoError(t, w.Cache.Refresh(t.Context()))
		}
		require.NoError(t, p.core.Refresh())
		assert.Equalf(t, step.want, p.group(t, "web").MinSize(), "minimum with a reading of %s ago", w.Cache.Age())
	}
}

func TestRefusedLaunchIsShownAsFailedInstances(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	p := serve(t, w, 5*time.Second)
	web := p.group(t, "web")
	require.NoError(t, web.IncreaseSize(2))
	size, _ := web.TargetSize()
	assert.Equal(t, 2, size, "target size while AWS is asked")
	require.NoError(t, w.AwaitIncreases(t.Context()))
	require.NoError(t, p.core.Refresh())
	instances, err := web.Nodes()
	require.Truef(t, err == nil && len(instances) == 2, "instances = %v, %v, want 2", instances, err)
	var failed []*corev1.Node
	for _, i := range instances {
		assert.Truef(t, i.Status.ErrorInfo != nil && strings.Contains(i.Status.ErrorInfo.ErrorMessage, "InsufficientInstanceCapacity"),
			"error of %s = %+v, want AWS's own words", i.Id, i.Status.ErrorInfo)
		failed = append(failed, awsworld.Node(i.Id, i.Id))
	}
	require.NoError(t, web.DeleteNodes(failed))
	size, _ = web.TargetSize()
	assert.Equal(t, 0, size, "target size after the core has deleted them")
}

// An error would have the core unmark the node, and pods would come to an instance that ends.
func TestLateDeletionIsNoError(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 1, 5, nil))
	p := serve(t, w, 3*time.Second)
	node := w.Nodes("web")[0]
	w.AWS.Inject(fakeaws.Fault{Action: "TerminateInstanceInAutoScalingGroup", Latency: fakeaws.Duration(4 * time.Second)})
	assert.NoError(t, p.group(t, "web").DeleteNodes([]*corev1.Node{node}), "deletion")
	p.stop() // waits for the deletion
	state, _ := w.AWS.Group("web")
	assert.Equal(t, 0, state.Desired, "desired")
}

// The core's message has no age. Kubernetes keeps the former Node of an instance that has registered again under another name.
func TestNewerNodeOfInstanceIsRemoved(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 1, 5, nil))
	p := serve(t, w, 5*time.Second)
	node := func(name string, age time.Duration) *corev1.Node {
		n := awsworld.M5Large(name, w.Nodes("web")[0].Spec.ProviderID, nil)
		n.CreationTimestamp, n.Status.Conditions[0].Status = metav1.NewTime(time.Now().Add(-age)), corev1.ConditionUnknown
		n.Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Value: fmt.Sprint(time.Now().Unix()), Effect: corev1.TaintEffectNoSchedule}}
		return n
	}
	former, live := node("former", time.Hour), node("live", time.Minute)
	w.Cluster.Put(t, former, live)
	for _, n := range []*corev1.Node{former, live} {
		require.NoError(t, p.nodes.Add(n))
	}
	require.NoError(t, p.core.Refresh())
	web := p.group(t, "web")
	for _, n := range []*corev1.Node{former, live} {
		group, err := p.core.NodeGroupForNode(n)
		assert.Truef(t, err == nil && (group != nil) == (n == live), "group of node %q = %v, %v, want one for the newer node alone", n.Name, group, err)
	}
	assert.ErrorContains(t, web.DeleteNodes([]*corev1.Node{former}), `"live"`)
	assert.NoError(t, web.DeleteNodes([]*corev1.Node{live}))
}

func pod(name, cpu string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}}}
}

// options are the core's for pods that fit each of the groups.
func (p *world) options(t *testing.T, pods []*corev1.Pod, nodes int, groups ...string) ([]coreexpander.Option, map[string]*framework.NodeInfo) {
	t.Helper()
	var list []coreexpander.Option
	infos := map[string]*framework.NodeInfo{}
	for _, id := range groups {
		g := p.group(t, id)
		info, err := g.TemplateNodeInfo()
		require.NoError(t, err)
		infos[id] = info
		list = append(list, coreexpander.Option{NodeGroup: g, NodeCount: nodes, Pods: pods})
	}
	return list, infos
}

func (p *world) chosen(options []coreexpander.Option, infos map[string]*framework.NodeInfo) (ids []string) {
	for _, o := range p.filter.BestOptions(options, infos) {
		ids = append(ids, o.NodeGroup.Id())
	}
	return ids
}

// question returns the request of the core's client of the expander.
func question(t *testing.T, options []coreexpander.Option, infos map[string]*framework.NodeInfo) *protos.BestOptionsRequest {
	marshal := func(o interface{ Marshal() ([]byte, error) }) []byte {
		bytes, err := o.Marshal()
		require.NoError(t, err)
		return bytes
	}
	request := &protos.BestOptionsRequest{NodeBytesMap: map[string][]byte{}}
	for _, o := range options {
		m := &protos.Option{NodeGroupId: o.NodeGroup.Id(), NodeCount: int32(o.NodeCount)}
		for _, pod := range o.Pods {
			m.PodBytes = append(m.PodBytes, marshal(pod))
		}
		request.Options = append(request.Options, m)
		request.NodeBytesMap[m.NodeGroupId] = marshal(infos[m.NodeGroupId].Node())
	}
	return request
}

func TestMalformedQuestionIsRefused(t *testing.T) {
	p := serve(t, awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil)), 5*time.Second)
	options, infos := p.options(t, []*corev1.Pod{pod("a", "1")}, 1, "web")
	for name, change := range map[string]func(*protos.BestOptionsRequest){
		"no node":               func(r *protos.BestOptionsRequest) { r.NodeBytesMap = nil },
		"node without capacity": func(r *protos.BestOptionsRequest) { r.NodeBytesMap["web"], _ = (&corev1.Node{}).Marshal() },
		"half a node":           func(r *protos.BestOptionsRequest) { r.NodeBytesMap["web"] = r.NodeBytesMap["web"][:100] },
		"half a pod":            func(r *protos.BestOptionsRequest) { r.Options[0].PodBytes[0] = r.Options[0].PodBytes[0][:10] },
		"group twice":           func(r *protos.BestOptionsRequest) { r.Options = append(r.Options, r.Options[0]) },
		"no pods":               func(r *protos.BestOptionsRequest) { r.Options[0].PodBytes = nil },
		"no count":              func(r *protos.BestOptionsRequest) { r.Options[0].NodeCount = 0 },
		"negative count":        func(r *protos.BestOptionsRequest) { r.Options[0].NodeCount = -5 },
	} {
		request := question(t, options, infos)
		change(request)
		_, err := protos.NewExpanderClient(p.dial(t)).BestOptions(t.Context(), request)
		assert.Equalf(t, codes.InvalidArgument, status.Code(err), "%s: %v, want InvalidArgument", name, err)
	}
}

func TestExpanderOfThePluginChooses(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil), awsworld.Group("plain", "m5.large", 0, 0, 5, nil))
	p := serve(t, w, 5*time.Second)
	options, infos := p.options(t, []*corev1.Pod{pod("a", "1500m"), pod("b", "1500m")}, 2, "gpu", "plain")
	got := p.chosen(options, infos)
	assert.Truef(t, slices.Equal(got, []string{"plain"}), "chosen = %v, want the group without accelerators", got)
}

func TestExpanderPassesOverGroupInCoolDown(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Group("gpu", "g4dn.xlarge", 0, 0, 5, nil), awsworld.Group("plain", "m5.large", 0, 0, 5, nil))
	w.AWS.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	p := serve(t, w, 5*time.Second)
	require.Error(t, w.Grow("plain", 1), "AWS has launched an instance")
	require.NoError(t, p.core.Refresh())
	options, infos := p.options(t, []*corev1.Pod{pod("a", "1")}, 1, "gpu", "plain")
	got := p.chosen(options, infos)
	assert.Truef(t, slices.Equal(got, []string{"gpu"}), "chosen = %v, want the group that can launch", got)
	assert.Empty(t, p.chosen(options[1:], infos), "chosen where no group can launch, want none")
}

// A core takes its own taint off the nodes of all groups as it starts, and asks for them before its first loop.
func TestNodeThatEndsIsInNoGroupBeforeTheFirstLoop(t *testing.T) {
	w := awsworld.New(t, func(c *fakeaws.Config) { c.Delays.Terminate = fakeaws.Duration(time.Minute) }, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	p, nodes := serve(t, w, 10*time.Second), w.Nodes("a")
	require.NoError(t, w.NodeGroup("a").DeleteNodes(nodes[:1]))
	p.server.Ready(plugin.Parts{Provider: w.RestartedWith(nil).Provider, Nodes: corelisters.NewNodeLister(p.nodes)})
	for at, known := range []bool{false, true} {
		group, err := p.core.NodeGroupForNode(nodes[at])
		assert.Truef(t, err == nil && (group != nil) == known, "group of node %d = %v, %v, want one: %t", at, group, err, known)
	}
}

// A core that starts anew beside a plugin that stays takes its taint off, too. It comes by a connection of its own.
func TestNodeThatEndsIsInNoGroupOfACoreThatStartsAnew(t *testing.T) {
	slow := func(c *fakeaws.Config) { c.Delays.Terminate = fakeaws.Duration(time.Minute) }
	w := awsworld.New(t, slow, awsworld.Group("a", "m5.large", 0, 2, 5, nil))
	p, nodes := serve(t, w, 10*time.Second), w.Nodes("a")
	require.NoError(t, p.group(t, "a").DeleteNodes(nodes[:1]))
	w.Reread()
	require.NoError(t, p.core.Refresh())
	again := p.anew()
	for at, known := range []bool{false, true} {
		group, err := again.NodeGroupForNode(nodes[at])
		assert.Truef(t, err == nil && (group != nil) == known, "group of node %d = %v, %v, want one: %t", at, group, err, known)
	}
	for _, own := range []bool{false, true} { // the core removes the node itself, or somebody else has ended it
		if own {
			nodes[0].Spec.Taints = []corev1.Taint{{Key: taints.ToBeDeletedTaint, Effect: corev1.TaintEffectNoSchedule}}
		}
		require.NoError(t, p.nodes.Add(nodes[0]))
		require.NoError(t, again.Refresh())
		group, err := again.NodeGroupForNode(nodes[0])
		assert.Truef(t, err == nil && (group != nil) == own, "group in a loop = %v, %v, want one: %t", group, err, own)
	}
}

// The core takes its taint off once. The nodes of a group that is newer than the last loop of a former core would stay closed.
func TestCoreThatStartsSeesTheGroupsOfToday(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil))
	p := serve(t, w, 5*time.Second)
	require.NoError(t, w.AWS.AddGroup(awsworld.Group("later", "m5.large", 0, 1, 5, nil)))
	w.Eventually(func() string {
		require.NoError(t, w.Cache.Refresh(t.Context()))
		if g := w.Cache.Snapshot().Group("later"); g == nil || len(g.Instances) == 0 {
			return "the group is not read"
		}
		return ""
	})
	i := w.Cache.Snapshot().Group("later").Instances[0]
	group, err := p.anew().NodeGroupForNode(awsworld.Node("n", nodemeta.ProviderID(i.Zone, i.ID)))
	assert.Truef(t, err == nil && group != nil && group.Id() == "later", "group = %v, %v, want later", group, err)
}

// The problems and the spend of a replica whose core does not lead would stand still, and so would its record.
func TestPluginWithoutACoreSeesTheGroupsOfToday(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 0, 5, nil))
	p, recorded := serve(t, w, 5*time.Second), map[string]int{}
	p.refreshed = func(trigger string) { recorded[trigger] = len(w.IDs()) }
	seen := func(name string) bool {
		require.NoError(t, w.AWS.AddGroup(awsworld.Group(name, "m5.large", 0, 0, 5, nil)))
		require.NoError(t, w.Cache.Refresh(t.Context()))
		p.server.Look()
		return w.View().NodeGroup(name) != nil
	}
	assert.False(t, seen("second"), "a new group in the core's loop")
	p.server.SilentFor(time.Hour)
	assert.True(t, seen("third"), "a new group without a core")
	assert.Equal(t, map[string]int{decision.Silence: 3}, recorded, "groups in the record, by what began it")
}

// An error would have the core unmark all nodes of the batch (--node-deletion-batcher-interval).
func TestBatchOfWhichSomeGoIsNoError(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 1, 3, 5, nil))
	p, nodes := serve(t, w, 5*time.Second), w.Members("web", nil)
	assert.NoError(t, p.group(t, "web").DeleteNodes(nodes), "deletion of all, where the minimum needs one")
	w.Reread()
	require.NoError(t, p.core.Refresh())
	size, _ := p.group(t, "web").TargetSize()
	assert.Equal(t, 1, size, "target size")
	stay := slices.DeleteFunc(w.Nodes("web"), func(n *corev1.Node) bool {
		i, _ := w.View().Instance(n)
		return i == nil || i.Lifecycle.Leaving()
	})
	require.Len(t, stay, 1, "nodes that stay")
	assert.ErrorContains(t, p.group(t, "web").DeleteNodes(stay), "minimum", "deletion of the one that stays")
}

// The core has one call for all options. Its own time would end instances that still boot, because others have become nodes.
func TestStartingNodeDoesNotShortenTheTimeOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name      string
		own, want time.Duration
	}{
		{name: "others are young", own: 15 * time.Minute, want: 15 * time.Minute},
		{name: "the core's own time would end them", own: time.Minute, want: 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := awsworld.New(t, nil, awsworld.Group("web", "m5.large", 0, 2, 5, map[string]string{
				awsworld.Template + "autoscaling-options/maxnodeprovisiontime": "30m"}))
			p := serve(t, w, 5*time.Second)
			first := w.Members("web", nil)[0]
			first.CreationTimestamp = metav1.Now()
			w.Cluster.Put(t, first)
			require.NoError(t, p.nodes.Add(first))
			require.NoError(t, p.core.Refresh())
			own := config.NodeGroupAutoscalingOptions{MaxNodeProvisionTime: tt.own, MaxNodeStartupTime: 15 * time.Minute}
			core := nodegroupconfig.NewDefaultNodeGroupConfigProcessor(own)
			got, err := core.GetMaxNodeProvisionTime(p.group(t, "web"))
			assert.NoError(t, err)
			assert.Equal(t, tt.want, got, "time of an instance to become a node")
		})
	}
}

// Pods that need a zone gain nothing from another zone's share.
func TestZoneMayHaveAllThatIsLeftOfItsGroup(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Divided("web", "m5.large", 0, 0, 9))
	p := serve(t, w, 5*time.Second)
	a, b := "web/cn-northwest-1a", "web/cn-northwest-1b"
	assert.Equal(t, 9, p.group(t, a).MaxSize(), "maximum of a zone of an empty group")
	require.NoError(t, p.group(t, a).IncreaseSize(7))
	require.NoError(t, p.group(t, b).IncreaseSize(7))
	require.NoError(t, w.AwaitIncreases(t.Context()))
	w.Reread()
	require.NoError(t, p.core.Refresh())
	state, _ := w.AWS.Group("web")
	assert.Equal(t, 9, state.Desired, "desired capacity, of which the maximum is 9")
	for zone, want := range map[string]int{a: 7, b: 2} {
		assert.Equal(t, want, p.group(t, zone).MaxSize(), "maximum of %s in a full group", zone)
	}
}

// A real node shows page sizes of which it has none, and the core compares a real node of one group with the template of the other.
func TestTemplateIsSimilarToNodeOfAnotherZone(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("a", "m5.large", 0, 1, 5, nil), awsworld.Group("b", "m5.large", 0, 0, 5, nil))
	p := serve(t, w, 5*time.Second)
	template := func(group string) *framework.NodeInfo {
		t.Helper()
		require.NoError(t, p.core.Refresh())
		info, err := p.group(t, group).TemplateNodeInfo()
		require.NoError(t, err)
		return info
	}
	similar := nodegroupset.CreateGenericNodeInfoComparator(nil, config.NewDefaultNodeGroupDifferenceRatios())
	node := template("a").Node().DeepCopy()
	for _, list := range []corev1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
		list["hugepages-2Mi"] = resource.MustParse("0")
	}
	require.False(t, similar(framework.NewNodeInfo(node, nil), template("b")), "the comparator does not see page sizes")
	require.NoError(t, p.nodes.Add(node))
	assert.Truef(t, similar(framework.NewNodeInfo(node, nil), template("b")),
		"template = %v, not similar to the node with %v", template("b").Node().Status.Capacity, node.Status.Capacity)
}
