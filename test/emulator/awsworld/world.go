package awsworld

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The tag that discovery looks for, the beginning of template tags, and the zones of divided groups.
const (
	EnabledTag = "k8s.io/cluster-autoscaler/enabled"
	Template   = "k8s.io/cluster-autoscaler/node-template/"
	ZoneA      = "cn-northwest-1a"
	ZoneB      = "cn-northwest-1b"
	ZoneC      = "cn-northwest-1c"
)

// World is a Provider over an emulated AWS.
type World struct {
	*aws.Provider
	T       testing.TB
	AWS     *fakeaws.Server
	Cache   *asg.Cache
	Events  *EventLog
	Metrics *prometheus.Registry
	Cluster Nodes
}

// EventLog keeps events. Safe for concurrent use.
type EventLog struct {
	mu   sync.Mutex
	list []string
}

// Add adds an event.
func (l *EventLog) Add(_, reason, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, reason+": "+message)
}

// All returns all events as "reason: message".
func (l *EventLog) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.list...)
}

// Group is a group in zone a with a launch template.
func Group(name, launchTemplate string, least, desired, most int, tags map[string]string) fakeaws.AutoScalingGroup {
	g := fakeaws.AutoScalingGroup{Name: name, Min: least, Max: most, Desired: desired, Zones: []string{ZoneA},
		Tags: map[string]string{EnabledTag: "true"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: launchTemplate, Version: "1"}}
	maps.Copy(g.Tags, tags)
	return g
}

// Zoned is the group in other zones, by their letters.
func Zoned(g fakeaws.AutoScalingGroup, letters string) fakeaws.AutoScalingGroup {
	g.Zones = nil
	for _, letter := range letters {
		g.Zones = append(g.Zones, "cn-northwest-1"+string(letter))
	}
	return g
}

// Divided is a group over three zones that is scaled zone by zone.
func Divided(name, launchTemplate string, least, desired, most int) fakeaws.AutoScalingGroup {
	g := Zoned(Group(name, launchTemplate, least, desired, most, map[string]string{asg.TagZonal: "true"}), "abc")
	g.SuspendedProcesses = []string{"AZRebalance"}
	return g
}

// Weighted is a group with the types m5.large, which counts for 1, and m5.xlarge, which counts for 4.
func Weighted(name string, least, desired int) fakeaws.AutoScalingGroup {
	g := Group(name, "", least, desired, 20, nil)
	g.LaunchTemplate = nil
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Overrides: []fakeaws.Override{{InstanceType: "m5.large", WeightedCapacity: 1}, {InstanceType: "m5.xlarge", WeightedCapacity: 4}}}
	return g
}

// New starts AWS with the groups, and a Provider that runs over it until the test ends.
func New(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) *World {
	t.Helper()
	return NewAWS(t, prepare, groups...).RestartedWith(nil)
}

// NewDivided is New with zone groups and synchronous launches.
func NewDivided(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) *World {
	t.Helper()
	return NewAWS(t, func(c *fakeaws.Config) {
		c.Delays.Synchronous = milliseconds(20)
		if prepare != nil {
			prepare(c)
		}
	}, groups...).RestartedWith(func(o *asg.Options, _ *aws.Options) { o.LaunchMode = asg.LaunchAuto })
}

func milliseconds(n int) fakeaws.Duration {
	return fakeaws.Duration(time.Duration(n) * time.Millisecond)
}

// NewAWS starts AWS with the groups, over which no Provider runs yet.
func NewAWS(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) *World {
	cfg := fakeaws.Config{Region: "cn-northwest-1", AutoScalingGroups: groups,
		Delays: fakeaws.Delays{Listed: milliseconds(20), InService: milliseconds(40), Register: milliseconds(60), GPU: milliseconds(60),
			Terminate: milliseconds(50), Retry: milliseconds(200)}}
	for _, name := range []string{"m5.large", "g4dn.xlarge", "x9z.large"} {
		cfg.LaunchTemplates = append(cfg.LaunchTemplates, fakeaws.LaunchTemplate{Name: name,
			Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: name}}})
	}
	if prepare != nil {
		prepare(&cfg)
	}
	server := awsclients.Serve(t, cfg)
	awsclients.Point(t, server.URL())
	return &World{T: t, AWS: server}
}

// RestartedWith is the same AWS with a Provider that knows nothing yet and runs until the test ends. A non-nil change alters its options.
func (w *World) RestartedWith(change func(*asg.Options, *aws.Options)) *World {
	w.T.Helper()
	w, ctx, cancel := w.still(change)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.T.Cleanup(func() {
		cancel()
		assert.NoError(w.T, <-done, "Run")
	})
	return w
}

// still is RestartedWith without anything in the background. The caller owns the context.
func (w *World) still(change func(*asg.Options, *aws.Options)) (*World, context.Context, context.CancelFunc) {
	t := w.T
	t.Helper()
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: w.AWS.Region()})
	require.NoError(t, err)
	prices := pricing.NewBook(clients.Region, time.Time{})
	cluster := informers.NewSharedInformerFactory(fake.NewClientset(), 0)
	nodes := cluster.Core().V1().Nodes()
	w = &World{T: t, AWS: w.AWS, Events: &EventLog{}, Metrics: prometheus.NewRegistry(), Cluster: Nodes{nodes.Informer().GetIndexer()}}
	cached := asg.Options{NoPredecessor: true, AutoScaling: clients.AutoScaling, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS},
		Discovery:       ownership.Discovery{Filters: []ownership.TagFilter{{{Key: EnabledTag}}}},
		RefreshInterval: time.Minute, MotionInterval: 50 * time.Millisecond, Clock: clock.RealClock{},
		LaunchMode: asg.LaunchDesiredCapacity, ZonalShifts: cooldown.ShiftAPIs{Shifts: clients.ZonalShifts, EC2: clients.EC2}}
	options := aws.Options{Prices: prices, Region: clients.Region,
		EC2: clients.EC2, Admission: lookup.Admission{EKS: clients.EKS, AWSAuth: noAWSAuth}, Nodes: nodes, Event: w.Events.Add,
		DaemonSets: cluster.Apps().V1().DaemonSets().Lister(), Problem: func(aws.Problem, bool) {}, Registerer: w.Metrics, Clock: clock.RealClock{}}
	if change != nil {
		change(&cached, &options)
	}
	options.Types = lookup.NewTypes(clients.EC2, instancetypes.Embedded(), options.Clock)
	cached.Types = options.Types.Catalogue
	w.Cache = asg.NewCache(cached)
	options.Cache = w.Cache
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, w.Cache.Start(ctx))
	w.Provider = aws.New(ctx, options)
	return w, ctx, cancel
}

func noAWSAuth(context.Context) ([]string, error) { return nil, errors.New("no ConfigMap aws-auth") }

// NextLoop refreshes the Provider, as the core does at the beginning of a loop.
func (w *World) NextLoop() { require.NoError(w.T, w.Refresh(), "Refresh") }

// Reread has AWS read anew, and begins the next loop with it.
func (w *World) Reread() {
	w.T.Helper()
	before := w.Cache.Snapshot()
	require.NoError(w.T, w.Cache.Refresh(w.T.Context()))
	if w.Cache.Snapshot() == before {
		w.T.Fatal("the refresh gave no new snapshot")
	}
	w.NextLoop()
}

// Eventually begins loops until ok returns "".
func (w *World) Eventually(ok func() string) {
	w.T.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		w.NextLoop()
		wrong := ok()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			w.T.Fatalf("still not after three minutes: %s", wrong)
		}
	}
}

// NodeGroup returns the node group with the ID.
func (w *World) NodeGroup(id string) cloudprovider.NodeGroup {
	w.T.Helper()
	if ng := w.View().NodeGroup(id); ng != nil {
		return ng
	}
	w.T.Fatalf("no node group %q", id)
	return nil
}

// Grow increases the size of the node group by n and waits for AWS's answer. The error is the refusal, or the failure that the next loop will show.
func (w *World) Grow(id string, n int) error {
	w.T.Helper()
	ng := w.NodeGroup(id)
	if err := ng.IncreaseSize(n); err != nil {
		return err
	}
	return w.Outcome(ng)
}

// Outcome waits until AWS has answered all increases, and returns the failures of the node group's.
func (w *World) Outcome(ng cloudprovider.NodeGroup) error {
	w.T.Helper()
	require.NoError(w.T, w.AwaitIncreases(w.T.Context()))
	own, ok := ng.(interface {
		AutoScalingGroup() string
		Zone() string
	})
	if !ok {
		w.T.Fatalf("%s is no node group of ours", ng.Id())
	}
	var errs []error
	if g := w.Cache.Snapshot().Group(own.AutoScalingGroup()); g != nil {
		for _, f := range g.Failed {
			if f.Zone == own.Zone() {
				errs = append(errs, f.Err)
			}
		}
	}
	return errors.Join(errs...)
}

// IDs returns the IDs of all node groups.
func (w *World) IDs() []string {
	var ids []string
	for _, ng := range w.NodeGroups() {
		ids = append(ids, ng.Id())
	}
	return ids
}

// Target returns the target size of the node group.
func (w *World) Target(id string) int {
	w.T.Helper()
	size, err := w.NodeGroup(id).TargetSize()
	require.NoError(w.T, err)
	return size
}

// PerZone counts the instances that the group has in AWS, by zone.
func (w *World) PerZone(name string) map[string]int {
	state, _ := w.AWS.Group(name)
	count := map[string]int{}
	for _, i := range state.Instances {
		if !strings.HasPrefix(i.State, "Terminat") {
			count[i.Zone]++
		}
	}
	return count
}

// Nodes returns Node objects for the group's instances, made up from their provider IDs.
func (w *World) Nodes(id string) []*corev1.Node {
	w.T.Helper()
	instances, err := w.NodeGroup(id).Nodes()
	require.NoError(w.T, err)
	var nodes []*corev1.Node
	for _, i := range instances {
		nodes = append(nodes, Node(i.Id, i.Id))
	}
	return nodes
}

// Members returns nodes for the group's instances as a real m5.large would show them, with the labels.
func (w *World) Members(id string, labels map[string]string) []*corev1.Node {
	w.T.Helper()
	var nodes []*corev1.Node
	for i, n := range w.Nodes(id) {
		nodes = append(nodes, M5Large(fmt.Sprintf("%s-%d", id, i), n.Spec.ProviderID, labels))
	}
	return nodes
}

// Emptied has AWS end all instances of the group, and waits until the Provider sees none.
func (w *World) Emptied(id string) {
	w.T.Helper()
	require.NoError(w.T, w.AWS.SetDesired(id, 0))
	require.NoError(w.T, w.Cache.Refresh(w.T.Context()))
	w.Eventually(func() string {
		instances, err := w.NodeGroup(id).Nodes()
		if err != nil {
			return err.Error()
		}
		if len(instances) > 0 {
			return fmt.Sprintf("%d instances are left", len(instances))
		}
		return ""
	})
}

// Nodes are the nodes of the cluster that the Provider sees.
type Nodes struct{ indexer cache.Indexer }

// Put adds or replaces nodes.
func (n Nodes) Put(t testing.TB, nodes ...*corev1.Node) {
	for _, node := range nodes {
		require.NoError(t, n.indexer.Add(node))
	}
}

// Drop removes nodes.
func (n Nodes) Drop(t testing.TB, nodes ...*corev1.Node) {
	for _, node := range nodes {
		require.NoError(t, n.indexer.Delete(node))
	}
}

// All returns the nodes in no order.
func (n Nodes) All() []*corev1.Node {
	var nodes []*corev1.Node
	for _, object := range n.indexer.List() {
		nodes = append(nodes, object.(*corev1.Node))
	}
	return nodes
}

// Node is a node with a provider ID and nothing else.
func Node(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

// M5Large is a real m5.large with the instance, which has been Ready for a while.
func M5Large(name, providerID string, labels map[string]string) *corev1.Node {
	n := Node(name, providerID)
	n.CreationTimestamp = metav1.NewTime(time.Now().Add(-10 * time.Minute))
	n.Labels = maps.Clone(labels)
	n.Status.Capacity = Resources("cpu", "2", "memory", "7845568Ki", "ephemeral-storage", "52416492Ki", "pods", "110")
	n.Status.Allocatable = Resources("cpu", "1930m", "memory", "7155392Ki", "ephemeral-storage", "47233297124", "pods", "110")
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.NewTime(time.Now().Add(-9 * time.Minute))}}
	return n
}

// Resources is a list of resources, given as names and quantities in turn.
func Resources(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// NewStill is New without anything in the background: AWS is read once, and then at every Reread.
func NewStill(t testing.TB, group fakeaws.AutoScalingGroup, change func(*asg.Options, *aws.Options)) *World {
	t.Helper()
	w, _, cancel := NewAWS(t, nil, group).still(change)
	t.Cleanup(cancel)
	return w
}
