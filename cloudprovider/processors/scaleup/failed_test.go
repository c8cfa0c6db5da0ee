package scaleup

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	testprovider "k8s.io/autoscaler/cluster-autoscaler/cloudprovider/test"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/nodegroups"
)

// refusing is a cloud whose groups show one instance that AWS could not launch.
type refusing struct {
	*testprovider.TestCloudProvider
}

type refusedGroup struct{ cloudprovider.NodeGroup }

func (r refusing) NodeGroups() (groups []cloudprovider.NodeGroup) {
	for _, g := range r.TestCloudProvider.NodeGroups() {
		groups = append(groups, refusedGroup{g})
	}
	return groups
}

func (g refusedGroup) Nodes() ([]cloudprovider.Instance, error) {
	instances, err := g.NodeGroup.Nodes()
	return append(instances, cloudprovider.Instance{Id: "refused", Status: &cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating,
		ErrorInfo: &cloudprovider.InstanceErrorInfo{ErrorClass: cloudprovider.OutOfResourcesErrorClass, ErrorCode: "LaunchFailed", ErrorMessage: "not today"}}}), err
}

// The group has two nodes that are about to end, which its size does not count. So the core takes its scale-up for finished.
func TestRefusedGroupWithLeavingNodesIsPaused(t *testing.T) {
	w := newWorld(t, map[string]zone{"a": {max: 5}})
	w.backoff = nodegroups.NewPauses(5*time.Minute, 30*time.Minute, 3*time.Hour)
	events := record.NewFakeRecorder(10)
	recorder, err := utils.NewStatusMapRecorder(fake.NewClientset(), "kube-system", events, true, "status")
	require.NoError(t, err)
	w.ctx.LogRecorder = recorder
	w.ctx.CloudProvider = refusing{w.provider}
	failing := false
	o := w.start(Options{Failing: func(string) bool { return failing }, Clock: clock.RealClock{}})
	state := w.state
	var leaving []*apiv1.Node
	for _, name := range []string{"leaving-1", "leaving-2"} {
		node := utiltest.BuildTestNode(name, 1000, 1<<30)
		utiltest.SetNodeReadyState(node, true, time.Now())
		w.provider.AddNode("a", node)
		leaving = append(leaving, node)
	}
	loop := func() {
		o.Refresh()
		require.NoError(t, state.UpdateNodes(leaving, w.nodeInfos, time.Now()))
		_, err = o.ScaleUp(filling(1), leaving, nil, w.nodeInfos, false)
		require.NoError(t, err)
	}
	paused := func(after time.Duration) bool {
		return state.BackoffStatusForNodeGroup(w.ctx.CloudProvider.NodeGroups()[0], time.Now().Add(after)).IsBackedOff
	}
	loop()
	assert.Falsef(t, paused(0), "the group is paused before AWS refused anything: %q", w.asked)
	failing = true
	loop()
	assert.True(t, paused(4*time.Minute), "the group is paused as after a launch, and not as after a call")
	assert.Len(t, w.asked, 1, "requests")
	loop()
	close(events.Events)
	var failures []string
	for e := range events.Events {
		if strings.Contains(e, "ScaleUpFailed") {
			failures = append(failures, e)
		}
	}
	assert.Len(t, failures, 1, "events of the failure")
	assert.Contains(t, strings.Join(failures, ""), "not today")
}

// A pod for which AWS has no capacity is tried every few minutes. Nodes go meanwhile, once --scale-down-delay-after-add is over for the last
// node that came.
func TestRefusedScaleUpDelaysNoScaleDown(t *testing.T) {
	for _, local := range []bool{false, true} {
		t.Run(fmt.Sprint("local ", local), func(t *testing.T) {
			w := newWorld(t, map[string]zone{"a": {max: 9}}, func(o *config.AutoscalingOptions) {
				o.ScaleDownDelayAfterAdd, o.ScaleDownDelayTypeLocal, o.NodeGroupDefaults.MaxNodeProvisionTime = 10*time.Minute, local, time.Hour
			})
			w.ctx.LogRecorder, _ = utils.NewStatusMapRecorder(fake.NewClientset(), "kube-system", record.NewFakeRecorder(10), true, "status")
			w.ctx.CloudProvider = refusing{w.provider}
			failing, now := false, testclock.NewFakeClock(time.Now())
			o := w.start(Options{Failing: func(string) bool { return failing }, Clock: now})
			delay := func(refused bool, pods int) time.Duration {
				failing = refused
				o.Refresh()
				if pods > 0 {
					_, err := o.ScaleUp(filling(pods), nil, nil, w.nodeInfos, false)
					require.NoError(t, err)
				}
				return w.ctx.ScaleDownDelayAfterAdd
			}
			after := func(d time.Duration) time.Duration {
				if local { // groups share the flag
					return 10 * time.Minute
				}
				return d
			}
			assert.Equal(t, 10*time.Minute, delay(false, 1), "after the first scale-up")
			now.Step(4 * time.Minute)
			assert.Equal(t, 10*time.Minute, delay(false, 1), "after the second")
			assert.Equal(t, after(6*time.Minute), delay(true, 0), "once AWS has refused the second")
			now.Step(4 * time.Minute)
			assert.Equal(t, 10*time.Minute, delay(false, 2), "after the third")
			assert.Equal(t, 10*time.Minute, delay(true, 0), "once AWS has refused one of its two nodes")
			now.Step(11 * time.Minute)
			assert.Equal(t, 10*time.Minute, delay(false, 1), "after the fourth")
			assert.Equal(t, after(0), delay(true, 0), "once AWS has refused the fourth")
		})
	}
}

// Each pod fills a node. Group a comes first, and its nodes join in the order asked for.
func TestPodsGetAnotherGroupIfNodesNeverCome(t *testing.T) {
	const never = 24 * time.Hour
	steady := func(every, until time.Duration) (pods []time.Duration) {
		for at := time.Duration(0); at < until; at += every {
			pods = append(pods, at)
		}
		return pods
	}
	for _, tt := range []struct {
		name     string
		pods     []time.Duration // since the first loop
		joins    time.Duration   // after which nodes of group a register
		bad      map[int]bool    // nodes of group a that never register
		unready  bool            // they never become Ready
		warm     bool            // they have been Ready before
		own      time.Duration   // --max-node-provision-time of group a, 0 for 15 minutes
		restart  time.Duration   // 0 for none
		until    time.Duration
		timeouts []time.Duration // of group a, at which it is paused
		b        int             // nodes of group b
	}{
		{name: "two raises", pods: []time.Duration{0, 5 * time.Minute}, joins: never, until: 22 * time.Minute,
			timeouts: []time.Duration{15 * time.Minute, 20 * time.Minute}, b: 2},
		{name: "raises that go on", pods: steady(time.Minute, 40*time.Minute), joins: never, until: 40 * time.Minute,
			timeouts: []time.Duration{15 * time.Minute, 31 * time.Minute}, b: 28},
		{name: "nodes that do not become Ready", pods: []time.Duration{0, 5 * time.Minute}, joins: time.Minute, unready: true, until: 22 * time.Minute,
			timeouts: []time.Duration{16 * time.Minute, 20 * time.Minute}, b: 2},
		{name: "a restart", pods: []time.Duration{0, 5 * time.Minute, 12 * time.Minute}, joins: never, restart: 10 * time.Minute, until: 27 * time.Minute,
			timeouts: []time.Duration{25 * time.Minute}, b: 2},
		{name: "steady demand", pods: steady(time.Minute, 3*time.Hour), joins: 14 * time.Minute, until: 3 * time.Hour},
		{name: "steady demand, slow nodes", pods: steady(time.Minute, 3*time.Hour), joins: 25 * time.Minute, own: 30 * time.Minute, until: 3 * time.Hour},
		{name: "steady demand, nodes out of a running warm pool", pods: steady(20*time.Second, time.Hour), joins: 30 * time.Second, warm: true,
			until: time.Hour},
		{name: "steady demand, a restart", pods: steady(time.Minute, time.Hour), joins: 14 * time.Minute, restart: 10 * time.Minute, until: time.Hour},
		{name: "a bad node among good ones", pods: []time.Duration{0, time.Second, 14 * time.Minute}, joins: 4 * time.Minute, bad: map[int]bool{0: true},
			until: 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, map[string]zone{"a": {max: 1000}, "b": {max: 1000}}, func(o *config.AutoscalingOptions) {
				o.NodeGroupDefaults.MaxNodeProvisionTime, o.NodeGroupDefaults.MaxNodeStartupTime = 15*time.Minute, 15*time.Minute
			})
			synctest.Test(t, func(t *testing.T) {
				w.backoff = nodegroups.NewPauses(5*time.Minute, 30*time.Minute, 3*time.Hour)
				a := w.provider.GetNodeGroup("a").(*testprovider.TestNodeGroup)
				if tt.own > 0 {
					a.SetOptions(&config.NodeGroupAutoscalingOptions{MaxNodeProvisionTime: tt.own, MaxNodeStartupTime: tt.own})
				}
				began, options := time.Now(), Options{Coming: func(id string) int {
					if id == "a" {
						return w.sizes()[id]
					}
					return 0
				}}
				o := w.start(options)
				var timeouts []time.Duration
				instances, launched := map[*apiv1.Node]time.Time{}, map[string]int{}
				for at := time.Duration(0); at < tt.until; at += 10 * time.Second {
					if tt.restart > 0 && at == tt.restart {
						o = w.start(options)
					}
					var nodes, ready []*apiv1.Node
					for node, launch := range instances {
						id, _, _ := strings.Cut(node.Name, "-")
						var number int
						_, _ = fmt.Sscanf(node.Name, id+"-%d", &number)
						if id == "a" && (time.Since(launch) < tt.joins || tt.bad[number]) {
							continue
						}
						if node.CreationTimestamp.IsZero() {
							node.CreationTimestamp.Time = time.Now()
							since := time.Now()
							if tt.warm {
								since = began.Add(-time.Hour)
							}
							utiltest.SetNodeReadyState(node, id == "b" || !tt.unready, since)
						}
						nodes = append(nodes, node)
						if kube_util.IsNodeReadyAndSchedulable(node) {
							ready = append(ready, node)
						}
					}
					w.ctx.ListerRegistry = kube_util.NewListerRegistry(kube_util.NewTestNodeLister(nodes), kube_util.NewTestNodeLister(ready),
						kube_util.NewTestPodLister(nil), nil, nil, nil, nil, nil, nil)
					o.Refresh()
					w.state.RefreshCloudProviderNodeInstancesCache()
					require.NoError(t, w.state.UpdateNodes(nodes, w.nodeInfos, time.Now()))
					for _, u := range w.state.GetUnregisteredNodes() { // as the core ends them
						if g, _ := w.provider.NodeGroupForNode(u.Node); time.Since(u.UnregisteredSince) > tt.own && time.Since(u.UnregisteredSince) > 15*time.Minute {
							for node := range instances {
								if node.Name == u.Node.Name {
									delete(instances, node)
								}
							}
							w.provider.DeleteNode(u.Node)
							w.resize(g.Id(), -1)
						}
					}
					room := len(ready)
					coming, _ := w.state.GetUpcomingNodes()
					for _, n := range coming {
						room += n
					}
					waiting := -room
					for _, since := range tt.pods {
						if since <= at {
							waiting++
						}
					}
					if waiting > 0 {
						_, err := o.ScaleUp(filling(waiting), nodes, nil, w.nodeInfos, false)
						require.NoError(t, err)
					}
					if failures := w.state.GetScaleUpFailures()["a"]; len(failures) > len(timeouts) {
						require.Len(t, failures, len(timeouts)+1, "failures in one loop")
						timeouts = append(timeouts, at.Truncate(time.Minute))
					}
					for id, size := range w.sizes() {
						there, _ := w.provider.GetNodeGroup(id).Nodes()
						for range size - len(there) {
							node := utiltest.BuildTestNode(fmt.Sprintf("%s-%d", id, launched[id]), 1000, 1<<30)
							node.CreationTimestamp.Reset()
							launched[id]++
							instances[node] = time.Now()
							w.provider.AddNode(id, node)
						}
					}
					time.Sleep(10 * time.Second)
				}
				assert.Equal(t, tt.timeouts, timeouts, "when group a was paused")
				assert.Equal(t, tt.b, launched["b"], "nodes of the other group")
			})
		})
	}
}
