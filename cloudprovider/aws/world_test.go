package aws_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/client-go/tools/cache"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// world is the common world of emulated AWS, with the questions of these tests.
type world struct{ *awsworld.World }

// template begins the tags about a group's next node.
const template = awsworld.Template

func newWorld(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) world {
	t.Helper()
	return world{awsworld.New(t, prepare, groups...)}
}

func newDividedWorld(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) world {
	t.Helper()
	return world{awsworld.NewDivided(t, prepare, groups...)}
}

// newAWS starts AWS with the groups, over which no Provider runs yet.
func newAWS(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) world {
	t.Helper()
	return world{awsworld.NewAWS(t, prepare, groups...)}
}

// restartedWith is the same AWS with a Provider that knows nothing yet.
func (w world) restartedWith(change func(*asg.Options, *aws.Options)) world {
	w.T.Helper()
	return world{w.RestartedWith(change)}
}

func ms(n int) fakeaws.Duration { return fakeaws.Duration(time.Duration(n) * time.Millisecond) }

// states are the group's instances as the core sees them: state, and error code where there is one.
func (w world) states(id string) []string {
	w.T.Helper()
	instances, err := w.NodeGroup(id).Nodes()
	require.NoError(w.T, err)
	names := map[cloudprovider.InstanceState]string{cloudprovider.InstanceRunning: "running",
		cloudprovider.InstanceCreating: "creating", cloudprovider.InstanceDeleting: "deleting"}
	var states []string
	for _, i := range instances {
		state := names[i.Status.State]
		if i.Status.ErrorInfo != nil {
			state += " " + i.Status.ErrorInfo.ErrorCode
		}
		states = append(states, state)
	}
	return states
}

// failedIncrease is the state of an instance whose launch AWS refused, or did not answer.
const failedIncrease = "creating cloudProviderError"

// register has the provider see these nodes alone as registered, and returns where it reads them.
func (w world) register(nodes ...*corev1.Node) (store cache.Indexer) {
	w.T.Helper()
	store = cache.NewIndexer(cache.MetaNamespaceKeyFunc, nodemeta.NodesByInstance)
	for _, n := range nodes {
		require.NoError(w.T, store.Add(n))
	}
	w.SetNodes(store)
	w.NextLoop()
	return store
}

// unregistered are the IDs of a node group's instances that the core takes for unregistered beside the node. The core ends such an
// instance after --max-node-provision-time.
func (w world) unregistered(id string, registered *corev1.Node) []string {
	w.T.Helper()
	var left []string
	for _, n := range w.Nodes(id) {
		if n.Spec.ProviderID != registered.Spec.ProviderID { // as in the core's clusterstate
			left = append(left, n.Spec.ProviderID)
		}
	}
	return left
}

// promised is the node that the group's template promises.
func (w world) promised(id string) *corev1.Node {
	w.T.Helper()
	info, err := w.NodeGroup(id).TemplateNodeInfo()
	require.NoError(w.T, err)
	return info.Node()
}

// templates are the templates at the moment, by group.
func (w world) templates() map[string]*fromgroup.Template {
	templates := map[string]*fromgroup.Template{}
	for _, id := range w.IDs() {
		templates[id] = w.View().Template(id)
	}
	return templates
}

// rebuiltSince are the groups whose template is another one than before, sorted.
func (w world) rebuiltSince(before map[string]*fromgroup.Template) []string {
	now := w.templates()
	maps.DeleteFunc(now, func(name string, t *fromgroup.Template) bool { return before[name] == t })
	return slices.Sorted(maps.Keys(now))
}

func (w world) setTag(group, key, value string) {
	w.T.Helper()
	require.NoError(w.T, w.AWS.SetTags(group, map[string]*string{key: &value}))
}

// differs returns the difference of metrics from the wanted ones, or "".
func (w world) differs(want string, names ...string) string {
	if err := testutil.GatherAndCompare(w.Metrics, strings.NewReader(want), names...); err != nil {
		return err.Error()
	}
	return ""
}

// wantProblems fails unless the metric counts these problems, by "group reason".
func (w world) wantProblems(want map[string]float64) {
	w.T.Helper()
	got := map[string]float64{}
	for labels, n := range w.gauges("asg_autoscaler_node_group_problems") {
		_, labels, _ = strings.Cut(strings.TrimSuffix(labels, "}"), "{node_group=")
		got[strings.Replace(labels, ",reason=", " ", 1)] = n
	}
	assert.Empty(w.T, cmp.Diff(want, got, cmpopts.EquateEmpty()), "problems in the metric (-want +got)")
}

// wantEvent fails unless there is one event, with all parts.
func (w world) wantEvent(parts ...string) {
	w.T.Helper()
	events := w.Events.All()
	require.Len(w.T, events, 1, "events")
	for _, part := range parts {
		assert.Contains(w.T, events[0], part, "event")
	}
}

// gauges are the values of a metric by its labels.
func (w world) gauges(name string) map[string]float64 {
	w.T.Helper()
	families, err := w.Metrics.Gather()
	require.NoError(w.T, err)
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if name == "" || f.GetName() == name {
				values[f.GetName()+labelsOf(m)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return values
}

func labelsOf(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		pairs = append(pairs, l.GetName()+"="+l.GetValue())
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// zonally launches synchronously where that is possible, as it must be for views.
func zonally(o *asg.Options, _ *aws.Options) { o.LaunchMode = asg.LaunchAuto }

// atOnce has synchronous launches take no time to speak of.
func atOnce(c *fakeaws.Config) { c.Delays.Synchronous = ms(20) }

// stopLaunching has AWS begin no further launch in the group, or it would try again at each change, and a withdrawal waits for that.
func (w world) stopLaunching(group string) {
	w.T.Helper()
	require.NoError(w.T, w.AWS.Suspend(group, "Launch"))
}

// eventuallyDeletes deletes the nodes of a node group, once AWS's last try to launch is over.
func (w world) eventuallyDeletes(id string, nodes []*corev1.Node) {
	w.T.Helper()
	w.Eventually(func() string {
		if err := w.NodeGroup(id).DeleteNodes(nodes); err != nil {
			return err.Error()
		}
		return ""
	})
}

// withoutNode marks the nodes as the core does which stand for instances that have none.
func withoutNode(nodes ...*corev1.Node) []*corev1.Node {
	for _, n := range nodes {
		n.Annotations = map[string]string{cloudprovider.FakeNodeReasonAnnotation: cloudprovider.FakeNodeUnregistered}
	}
	return nodes
}

// desires fails unless AWS has the desired capacity.
func (w world) desires(group string, want int) {
	w.T.Helper()
	state, _ := w.AWS.Group(group)
	assert.Equalf(w.T, want, state.Desired, "desired capacity of %s", group)
}

// waitWhile waits as long as it is so.
func (w world) waitWhile(what string, so func() bool) {
	w.T.Helper()
	w.Eventually(func() string { return map[bool]string{true: what}[so()] })
}

// owner returns the ID of the node's node group, or "".
func (w world) owner(n *corev1.Node) string {
	w.T.Helper()
	ng, err := w.NodeGroupForNode(n)
	require.NoError(w.T, err)
	if ng == nil {
		return ""
	}
	return ng.Id()
}

// has is HasInstance of the node.
func (w world) has(n *corev1.Node) bool {
	w.T.Helper()
	has, err := w.HasInstance(n)
	require.NoError(w.T, err)
	return has
}

// young is the node of the first instance of the group, which AWS has launched since the loop began.
func (w world) young(group string) *corev1.Node {
	w.T.Helper()
	require.Eventually(w.T, func() bool {
		err := w.Cache.Refresh(w.T.Context())
		g := w.Cache.Snapshot().Group(group)
		return err == nil && g != nil && len(g.Instances) > 0
	}, 10*time.Second, 10*time.Millisecond, "the new group has no instance")
	young := w.Cache.Snapshot().Group(group).Instances[0]
	return awsworld.Node("n", nodemeta.ProviderID(young.Zone, young.ID))
}
