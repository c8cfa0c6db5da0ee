package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/tokenwindow"
)

const (
	enabledTag = "k8s.io/cluster-autoscaler/enabled"
	template   = "k8s.io/cluster-autoscaler/node-template/"
)

// world is a Provider over an emulated AWS.
type world struct {
	*Provider
	t      testing.TB
	aws    *fakeaws.Server
	cache  *asg.Cache
	events *eventLog
	metric *prometheus.Registry
}

type eventLog struct {
	mu   sync.Mutex
	list []string
}

func (l *eventLog) add(_, reason, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, reason+": "+message)
}

func (l *eventLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.list...)
}

func group(name, launchTemplate string, least, desired, most int, tags map[string]string) fakeaws.AutoScalingGroup {
	g := fakeaws.AutoScalingGroup{Name: name, Min: least, Max: most, Desired: desired, Zones: []string{"cn-northwest-1a"},
		Tags: map[string]string{enabledTag: "true"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: launchTemplate, Version: "1"}}
	for key, value := range tags {
		g.Tags[key] = value
	}
	return g
}

func launchTemplate(instanceType string) fakeaws.LaunchTemplate {
	return fakeaws.LaunchTemplate{Name: instanceType, Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: instanceType}}}
}

// zoned is the group in other zones, by their letters.
func zoned(g fakeaws.AutoScalingGroup, letters string) fakeaws.AutoScalingGroup {
	g.Zones = nil
	for _, letter := range letters {
		g.Zones = append(g.Zones, "cn-northwest-1"+string(letter))
	}
	return g
}

func resources(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func ms(n int) fakeaws.Duration { return fakeaws.Duration(time.Duration(n) * time.Millisecond) }

// newWorld starts AWS with the groups, and a Provider that runs over it until the test ends.
func newWorld(t *testing.T, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	return newAWS(t, prepare, groups...).restarted()
}

// newAWS starts AWS with the groups, over which no Provider runs yet.
func newAWS(t testing.TB, prepare func(*fakeaws.Config), groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	cfg := fakeaws.Config{Region: "cn-northwest-1", AutoScalingGroups: groups,
		Delays:          fakeaws.Delays{Listed: ms(20), InService: ms(40), Register: ms(60), GPU: ms(60), Terminate: ms(50), Retry: ms(200)},
		LaunchTemplates: []fakeaws.LaunchTemplate{launchTemplate("m5.large"), launchTemplate("g4dn.xlarge"), launchTemplate("x9z.large")}}
	if prepare != nil {
		prepare(&cfg)
	}
	tokenwindow.AwayFromEdge(t.Context())
	server, err := fakeaws.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL(), "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_MAX_ATTEMPTS": "1"} {
		t.Setenv(name, value)
	}
	return &world{t: t, aws: server}
}

// restarted is the same AWS with a Provider that knows nothing yet and runs until the test ends.
func (w *world) restarted() *world { return w.restartedWith(nil) }

// restartedWith is restarted with other options, unless change is nil.
func (w *world) restartedWith(change func(*asg.Options, *Options)) *world {
	t := w.t
	t.Helper()
	clients, err := awsclient.New(t.Context(), awsclient.Options{Region: w.aws.Region()})
	if err != nil {
		t.Fatal(err)
	}
	w = &world{t: t, aws: w.aws, events: &eventLog{}, metric: prometheus.NewRegistry()}
	cached := asg.Options{AutoScaling: clients.AutoScaling, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS},
		Discovery:       asg.Discovery{Filters: []asg.TagFilter{{{Key: enabledTag}}}},
		RefreshInterval: time.Minute, MotionInterval: 50 * time.Millisecond, Clock: clock.RealClock{},
		LaunchMode: asg.LaunchDesiredCapacity, ZonalShifts: cooldown.ShiftAPIs{Shifts: clients.ZonalShifts, EC2: clients.EC2}}
	prices, err := pricing.NewBook(clients.Region, nil)
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Prices: prices, Region: clients.Region, Catalogue: instancetypes.Embedded(),
		InstanceTypes: clients.EC2, Instances: clients.EC2, Zones: clients.EC2, Offerings: clients.EC2, Event: w.events.add,
		Registerer: w.metric, Clock: clock.RealClock{}}
	if change != nil {
		change(&cached, &options)
	}
	w.cache = asg.NewCache(cached)
	options.Cache = w.cache
	ctx, cancel := context.WithCancel(t.Context())
	if err := w.cache.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if w.Provider, err = New(ctx, options); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

func (w *world) refresh() {
	w.t.Helper()
	if err := w.Refresh(); err != nil {
		w.t.Fatalf("Refresh: %v", err)
	}
}

// eventually refreshes until ok returns "".
func (w *world) eventually(ok func() string) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		w.refresh()
		wrong := ok()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("still not after 10 s: %s", wrong)
		}
	}
}

func (w *world) nodeGroup(id string) cloudprovider.NodeGroup {
	w.t.Helper()
	for _, ng := range w.NodeGroups() {
		if ng.Id() == id {
			return ng
		}
	}
	w.t.Fatalf("no node group %q", id)
	return nil
}

func (w *world) target(id string) int {
	w.t.Helper()
	size, err := w.nodeGroup(id).TargetSize()
	if err != nil {
		w.t.Fatal(err)
	}
	return size
}

// states are the group's instances as the core sees them: state, and error code where there is one.
func (w *world) states(id string) []string {
	w.t.Helper()
	instances, err := w.nodeGroup(id).Nodes()
	if err != nil {
		w.t.Fatal(err)
	}
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

// nodes are the Node objects of the group's instances, made up from their provider IDs.
func (w *world) nodes(id string) []*corev1.Node {
	w.t.Helper()
	instances, err := w.nodeGroup(id).Nodes()
	if err != nil {
		w.t.Fatal(err)
	}
	var nodes []*corev1.Node
	for _, i := range instances {
		nodes = append(nodes, node(i.Id, i.Id))
	}
	return nodes
}

func node(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

func TestANewInstanceIsCountedFromTheRequestOn(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	if err := w.nodeGroup("a").IncreaseSize(2); err != nil {
		t.Fatal(err)
	}
	if got := w.target("a"); got != 3 {
		t.Errorf("target size right after the request is %d, want 3", got)
	}
	if diff := cmp.Diff([]string{"running", "creating", "creating"}, w.states("a")); diff != "" {
		t.Errorf("instances right after the request (-want +got):\n%s", diff)
	}
	w.eventually(func() string { return cmp.Diff([]string{"running", "running", "running"}, w.states("a")) })
}

func TestViewStaysTheSameDuringLoop(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	if err := w.aws.SetDesired("a", 4); err != nil {
		t.Fatal(err)
	}
	if err := w.cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.target("a"); got != 1 {
		t.Errorf("target size changed to %d before Refresh", got)
	}
	w.refresh()
	if got := w.target("a"); got != 4 {
		t.Errorf("target size after Refresh is %d, want 4", got)
	}
}

func TestNodesBelongToTheGroupOfTheirInstance(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil), group("b/with-1", "m5.large", 0, 1, 5, nil))
	instance := func(id string) string { return w.nodes(id)[0].Spec.ProviderID }
	for _, tt := range []struct{ name, providerID, want string }{
		{name: "member of a", providerID: instance("a"), want: "a"},
		{name: "member of b", providerID: instance("b/with-1"), want: "b/with-1"},
		{name: "placeholder", providerID: "aws:///cn-northwest-1a/i-placeholder-a-3", want: "a"},
		{name: "placeholder of a group with dashes and slashes", providerID: "aws:///cn-northwest-1a/i-placeholder-b/with-1-12", want: "b/with-1"},
		{name: "placeholder of an unknown group", providerID: "aws:///cn-northwest-1a/i-placeholder-c-1"},
		{name: "unknown instance", providerID: "aws:///cn-northwest-1a/i-0123456789abcdef0"},
		{name: "Fargate", providerID: "aws:///cn-northwest-1a/0123abc/fargate-ip-10-0-0-1.cn-northwest-1.compute.internal"},
		{name: "hybrid node", providerID: "eks-hybrid:///cn-northwest-1/cluster/mi-0123"},
		{name: "no provider ID", providerID: ""},
		{name: "garbage", providerID: "aws:///../../etc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := w.NodeGroupForNode(node("n", tt.providerID))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if got != nil {
					t.Errorf("belongs to %v, want to none", got)
				}
				return
			}
			if got == nil || got.Id() != tt.want {
				t.Errorf("belongs to %v, want %q", got, tt.want)
			}
		})
	}
}

func TestTerminatingInstanceIsGoneForTheCore(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 2, 5, nil))
	nodes := w.nodes("a")
	if err := w.nodeGroup("a").DeleteNodes(nodes[:1]); err != nil {
		t.Fatal(err)
	}
	if got := w.target("a"); got != 1 {
		t.Errorf("target size is %d, want 1", got)
	}
	for at, want := range []bool{false, true} {
		if got, err := w.HasInstance(nodes[at]); got != want || err != nil {
			t.Errorf("HasInstance(%d) = %t, %v, want %t", at, got, err, want)
		}
	}
	if _, err := w.HasInstance(node("other", "aws:///cn-northwest-1a/i-0fffffffffffffff0")); err != cloudprovider.ErrNotImplemented {
		t.Errorf("HasInstance of a stranger gave %v, want ErrNotImplemented", err)
	}
	other := node("other", "aws:///cn-northwest-1a/i-0fffffffffffffff0")
	other.Annotations = map[string]string{"k8s.io/cluster-autoscaler-enabled": "false"}
	if got, err := w.HasInstance(other); got || err != nil {
		t.Errorf("HasInstance of a node marked as not autoscaled = %t, %v, want false", got, err)
	}
}

func TestRegisteredInstanceIsNotDeletedAsUnregistered(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	unregistered := w.nodes("a")[0]
	unregistered.Annotations = map[string]string{cloudprovider.FakeNodeReasonAnnotation: cloudprovider.FakeNodeUnregistered}
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	w.Provider.nodes = corelisters.NewNodeLister(store)
	if err := store.Add(node("ip-10-0-0-1", unregistered.Spec.ProviderID)); err != nil {
		t.Fatal(err)
	}
	if err := w.nodeGroup("a").DeleteNodes([]*corev1.Node{unregistered}); err == nil || !strings.Contains(err.Error(), "ip-10-0-0-1") {
		t.Errorf("error = %v, want one that names the node", err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 1 {
		t.Errorf("desired capacity is %d, want 1", state.Desired)
	}
	if err := store.Delete(node("ip-10-0-0-1", unregistered.Spec.ProviderID)); err != nil {
		t.Fatal(err)
	}
	if err := w.nodeGroup("a").DeleteNodes([]*corev1.Node{unregistered}); err != nil {
		t.Errorf("an instance that is still unregistered could not be deleted: %v", err)
	}
}

// register has the provider see the nodes as registered.
func (w *world) register(nodes ...*corev1.Node) {
	w.t.Helper()
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	for _, n := range nodes {
		if err := store.Add(n); err != nil {
			w.t.Fatal(err)
		}
	}
	w.Provider.nodes = corelisters.NewNodeLister(store)
	w.nodesChanged.Store(true)
	w.refresh()
}

// unregistered are the IDs of a node group's instances that the core takes for unregistered beside the node. The core ends such an
// instance after --max-node-provision-time.
func (w *world) unregistered(id string, registered *corev1.Node) []string {
	w.t.Helper()
	var left []string
	for _, n := range w.nodes(id) {
		if n.Spec.ProviderID != registered.Spec.ProviderID { // as in the core's clusterstate
			left = append(left, n.Spec.ProviderID)
		}
	}
	return left
}

func TestRegisteredNodeKeepsItsInstance(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	full := w.nodes("a")[0].Spec.ProviderID
	id := full[strings.LastIndex(full, "/")+1:]
	for _, tt := range []struct {
		name, providerID string
		foreign          bool // the node is not the instance's
	}{
		{name: "in the form of EKS", providerID: full},
		{name: "without a zone", providerID: "aws:////" + id},
		{name: "without a place for the zone", providerID: "aws:///" + id},
		{name: "the instance alone", providerID: id},
		{name: "in another zone", providerID: "aws:///cn-northwest-1b/" + id},
		{name: "another instance", providerID: "aws:///cn-northwest-1a/i-1", foreign: true},
		{name: "an instance whose ID begins alike", providerID: "aws:///cn-northwest-1a/" + id + "0", foreign: true},
		{name: "in capitals", providerID: strings.ToUpper(full), foreign: true},
		{name: "a hybrid node", providerID: "eks-hybrid:///cn-northwest-1/cluster/m" + id, foreign: true},
		{name: "a hybrid node of the same name", providerID: "eks-hybrid:///cn-northwest-1/cluster/" + id, foreign: true},
		{name: "on Fargate", providerID: "aws:///cn-northwest-1a/0123abc/" + id, foreign: true},
		{name: "not known yet", providerID: "", foreign: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			registered := node("ip-10-0-0-1", tt.providerID)
			w.register(registered)
			if left := w.unregistered("a", registered); (len(left) > 0) != tt.foreign {
				t.Errorf("the core takes %q for unregistered, want any: %t", left, tt.foreign)
			}
			owner, err := w.NodeGroupForNode(registered)
			if err != nil || (owner == nil) != tt.foreign {
				t.Errorf("the node is in %v (%v), want in none: %t", owner, err, tt.foreign)
			}
			// The core remembers instances for two minutes, so it may still know this one by another ID.
			stale := node(full, full)
			stale.Annotations = map[string]string{cloudprovider.FakeNodeReasonAnnotation: cloudprovider.FakeNodeUnregistered}
			if tt.foreign {
				return
			}
			if err := w.nodeGroup("a").DeleteNodes([]*corev1.Node{stale}); err == nil || !strings.Contains(err.Error(), "ip-10-0-0-1") {
				t.Errorf("error = %v, want one that names the node", err)
			}
			if state, _ := w.aws.Group("a"); state.Desired != 1 {
				t.Fatalf("desired capacity is %d, want 1", state.Desired)
			}
		})
	}
}

func TestInstanceWithTwoNodesKeepsOneID(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	full := w.nodes("a")[0].Spec.ProviderID
	other := "aws:////" + full[strings.LastIndex(full, "/")+1:]
	for range 5 {
		w.register(node("old", full), node("new", other))
		if got := w.nodes("a")[0].Spec.ProviderID; got != other {
			t.Fatalf("the instance is %q, want %q in every loop", got, other)
		}
	}
}

// failingNodes is a lister that cannot list.
type failingNodes struct{ corelisters.NodeLister }

func (failingNodes) List(labels.Selector) ([]*corev1.Node, error) { return nil, errors.New("no cache") }

func TestUnregisteredInstanceStaysWhereNodesAreUnknown(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	unregistered := w.nodes("a")[0]
	unregistered.Annotations = map[string]string{cloudprovider.FakeNodeReasonAnnotation: cloudprovider.FakeNodeUnregistered}
	w.Provider.nodes = failingNodes{}
	if err := w.nodeGroup("a").DeleteNodes([]*corev1.Node{unregistered}); err == nil || !strings.Contains(err.Error(), "no cache") {
		t.Errorf("error = %v, want the lister's", err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 1 {
		t.Errorf("desired capacity is %d, want 1", state.Desired)
	}
}

func TestTargetSizeIsLoweredByNegativeNumbersOnly(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	if err := w.nodeGroup("a").IncreaseSize(2); err != nil {
		t.Fatal(err)
	}
	for _, delta := range []int{0, 1} {
		if err := w.nodeGroup("a").DecreaseTargetSize(delta); err == nil {
			t.Errorf("DecreaseTargetSize(%d) gave no error", delta)
		}
	}
	if err := w.nodeGroup("a").DecreaseTargetSize(-1); err != nil || w.target("a") != 2 {
		t.Errorf("target size is %d (%v) after one was taken back, want 2", w.target("a"), err)
	}
}

func TestPlaceholderOfAnotherWriterIsNotDeleted(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	if err := w.aws.SetDesired("a", 2); err != nil {
		t.Fatal(err)
	}
	w.reread()
	if err := w.nodeGroup("a").DeleteNodes(w.nodes("a")[1:]); err == nil || !strings.Contains(err.Error(), "not ours") {
		t.Errorf("error = %v, want that it is not ours to withdraw", err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 2 {
		t.Errorf("desired capacity is %d, want 2", state.Desired)
	}
}

func TestLeavingInstanceStandsBesideItsPlaceholder(t *testing.T) {
	w := newWorld(t, func(c *fakeaws.Config) { c.Delays.Terminate = ms(60_000) }, group("a", "m5.large", 0, 2, 5, nil))
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	first, _ := w.aws.Group("a")
	if err := w.aws.Reclaim(first.Instances[0].ID); err != nil {
		t.Fatal(err)
	}
	w.reread()
	if diff := cmp.Diff([]string{"deleting", "running", "creating"}, w.states("a")); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
}

func TestGroupThatCannotLaunchAtomicallySaysSo(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	if err := w.nodeGroup("a").AtomicIncreaseSize(1); err != cloudprovider.ErrNotImplemented {
		t.Errorf("error = %v, want ErrNotImplemented, on which the core raises the size as usual", err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 1 {
		t.Errorf("desired capacity is %d, want 1", state.Desired)
	}
}

func TestFailedLaunchIsShownAndWithdrawn(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	if err := w.nodeGroup("a").IncreaseSize(2); err != nil {
		t.Fatal(err)
	}
	const failed = "creating InsufficientInstanceCapacity"
	w.eventually(func() string { return cmp.Diff([]string{"running", failed, failed}, w.states("a")) })
	if err := w.nodeGroup("a").DeleteNodes(w.nodes("a")[1:]); err != nil {
		t.Fatal(err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 1 || w.target("a") != 1 {
		t.Errorf("desired capacity is %d and target size %d, want 1 and 1", state.Desired, w.target("a"))
	}
}

func TestWhatTheMinimumAsksForNeverShowsAFailure(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 0, 5, nil))
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	if err := w.aws.SetLimits("a", 2, 5); err != nil {
		t.Fatal(err)
	}
	if err := w.nodeGroup("a").IncreaseSize(1); err != nil {
		t.Fatal(err)
	}
	w.eventually(func() string {
		return cmp.Diff([]string{"creating", "creating", "creating InsufficientInstanceCapacity"}, w.states("a"))
	})
	// The core may ask for a target size that cannot be lowered. An error would end its loop for every group.
	if err := w.nodeGroup("a").DecreaseTargetSize(-3); err != nil {
		t.Errorf("DecreaseTargetSize below the minimum: %v, want nil", err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 2 {
		t.Errorf("desired capacity is %d, want the minimum of 2", state.Desired)
	}
}

// weighted is a group whose types count for 1 and 4.
func weighted(name string, least, desired int) fakeaws.AutoScalingGroup {
	g := group(name, "", least, desired, 20, nil)
	g.LaunchTemplate = nil
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"},
		Overrides: []fakeaws.Override{{InstanceType: "m5.large", WeightedCapacity: 1}, {InstanceType: "m5.xlarge", WeightedCapacity: 4}}}
	return g
}

// The core takes a group's size for wrong while placeholders show an error, and after a while stands still over it, for all
// groups. So nothing may show one that cannot be taken back.
func TestNothingShowsAFailureThatCannotBeTakenBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		group  fakeaws.AutoScalingGroup
		refuse bool
	}{
		{name: "minimum in capacity units", group: weighted("a", 4, 4)},
		{name: "lowering is denied", group: group("a", "m5.large", 0, 2, 5, nil), refuse: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *fakeaws.Config) { c.Delays.Retry = ms(100) }, tt.group)
			w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
			state, _ := w.aws.Group("a")
			for _, i := range state.Instances {
				if err := w.aws.Reclaim(i.ID); err != nil {
					t.Fatal(err)
				}
			}
			if tt.refuse {
				w.aws.Deny("SetDesiredCapacity")
			}
			w = w.restarted() // the deficit is taken over as ours
			failing := func() []*corev1.Node {
				var nodes []*corev1.Node
				for at, s := range w.states("a") {
					if strings.Contains(s, "InsufficientInstanceCapacity") {
						nodes = append(nodes, w.nodes("a")[at])
					}
				}
				return nodes
			}
			if tt.refuse {
				w.eventually(func() string {
					if len(failing()) == 0 {
						return "no failure shown before the refusal"
					}
					return ""
				})
				if err := w.nodeGroup("a").DeleteNodes(failing()); err == nil {
					t.Error("DeleteNodes reports success although lowering was denied")
				}
			} else {
				w.eventually(func() string {
					if w.cache.Snapshot().Group("a").Failure == nil && w.target("a") > 0 && w.cache.Snapshot().Group("a").Requested > 0 {
						return "AWS has not reported the failure"
					}
					return ""
				})
			}
			w.refresh()
			if got := failing(); len(got) > 0 {
				t.Errorf("%d placeholders show a failure that cannot be taken back: %v", len(got), w.states("a"))
			}
			if err := w.nodeGroup("a").DecreaseTargetSize(-1); err != nil {
				t.Errorf("DecreaseTargetSize: %v, want nil", err)
			}
		})
	}
}

func TestTheMinimumOfAWeightedGroupIsInNodes(t *testing.T) {
	w := newWorld(t, nil, weighted("full", 4, 4), weighted("spare", 2, 4))
	for id, want := range map[string]int{"full": 4, "spare": 2} {
		if got := w.nodeGroup(id).MinSize(); got != want {
			t.Errorf("%s has a minimum of %d nodes, want %d", id, got, want)
		}
	}
	if err := w.nodeGroup("spare").DeleteNodes(w.nodes("spare")[:2]); err != nil {
		t.Errorf("nodes above the minimum could not be deleted: %v", err)
	}
}

func TestPlaceholderOfDeletedGroupLowersNoOther(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 1, 5, nil))
	w.aws.AddShortage(fakeaws.Shortage{InstanceType: "m5.large"})
	if err := w.nodeGroup("a").IncreaseSize(2); err != nil {
		t.Fatal(err)
	}
	if err := w.nodeGroup("a").DeleteNodes([]*corev1.Node{node("n", "aws:///cn-northwest-1a/i-placeholder-gone-1")}); err != nil {
		t.Fatal(err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 3 {
		t.Errorf("desired capacity is %d, want 3", state.Desired)
	}
}

func TestNodeWithoutInstanceDoesNotBlockDeletions(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 2, 5, nil))
	vanished := node("vanished", "aws:///cn-northwest-1a/i-0123456789abcdef0")
	if err := w.nodeGroup("a").DeleteNodes([]*corev1.Node{vanished, w.nodes("a")[0]}); err != nil {
		t.Fatal(err)
	}
	if state, _ := w.aws.Group("a"); state.Desired != 1 {
		t.Errorf("desired capacity is %d, want 1", state.Desired)
	}
}

func TestTheTemplateOfAGPUGroupAtZero(t *testing.T) {
	w := newWorld(t, nil, group("gpu", "g4dn.xlarge", 0, 0, 3, map[string]string{template + "label/nvidia.com/gpu": "true"}))
	info, err := w.nodeGroup("gpu").TemplateNodeInfo()
	if err != nil {
		t.Fatal(err)
	}
	gpus := info.Node().Status.Allocatable["nvidia.com/gpu"]
	if gpus.Value() != 1 || info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"] != 1 {
		t.Errorf("template has %s GPUs on the node and %d for the scheduler, want 1", gpus.String(), info.GetAllocatable().GetScalarResources()["nvidia.com/gpu"])
	}
	want := map[string]string{"nvidia.com/gpu": "true", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
		"node.kubernetes.io/instance-type": "g4dn.xlarge", "topology.kubernetes.io/region": "cn-northwest-1", "topology.kubernetes.io/zone": "cn-northwest-1a"}
	for key, value := range want {
		if got := info.Node().Labels[key]; got != value {
			t.Errorf("label %s is %q, want %q", key, got, value)
		}
	}
}

func TestMalformedTagIsReportedOnceAndBlocksNothing(t *testing.T) {
	tag := template + "taint/dedicated"
	w := newWorld(t, nil, group("g4dn-spot", "g4dn.xlarge", 0, 0, 3, map[string]string{tag: "nvidia.com/gpu=true"}), group("basic", "m5.large", 0, 0, 3, nil))
	for range 3 {
		if err := w.cache.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.refresh()
	}
	events := w.events.all()
	if len(events) != 1 {
		t.Fatalf("events = %q, want exactly one", events)
	}
	for _, part := range []string{"g4dn-spot", tag, "nvidia.com/gpu=true", "<value>:<effect>", "for example"} {
		if !strings.Contains(events[0], part) {
			t.Errorf("event %q does not mention %q", events[0], part)
		}
	}
	want := `
# HELP cluster_autoscaler_aws_node_group_problems What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.
# TYPE cluster_autoscaler_aws_node_group_problems gauge
cluster_autoscaler_aws_node_group_problems{node_group="g4dn-spot",reason="invalid_taint_form"} 1
`
	if err := testutil.GatherAndCompare(w.metric, strings.NewReader(want), "cluster_autoscaler_aws_node_group_problems"); err != nil {
		t.Error(err)
	}
	if err := w.nodeGroup("g4dn-spot").IncreaseSize(1); err != nil {
		t.Errorf("the group does not scale: %v", err)
	}
	right := "nvidia:NoSchedule"
	if err := w.aws.SetTags("g4dn-spot", map[string]*string{tag: &right}); err != nil {
		t.Fatal(err)
	}
	if err := w.cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.refresh()
	if n, err := testutil.GatherAndCount(w.metric, "cluster_autoscaler_aws_node_group_problems"); err != nil || n != 0 {
		t.Errorf("%d problems in the metric after the tag was mended (error %v), want none", n, err)
	}
}

func TestUnknownTypeBlocksItsGroupAlone(t *testing.T) {
	w := newWorld(t, nil, group("unknown", "x9z.large", 0, 0, 3, nil), group("known", "m5.large", 0, 0, 3, nil))
	w.aws.Deny("DescribeInstanceTypes")
	for range 3 {
		w.refresh()
	}
	if _, err := w.nodeGroup("unknown").TemplateNodeInfo(); err != cloudprovider.ErrNotImplemented {
		t.Errorf("TemplateNodeInfo of the unknown type gave %v, want ErrNotImplemented, over which the core does not complain each loop", err)
	}
	if _, err := w.nodeGroup("known").TemplateNodeInfo(); err != nil {
		t.Errorf("TemplateNodeInfo of the other group: %v", err)
	}
	if events := w.events.all(); len(events) != 1 || !strings.Contains(events[0], "x9z.large") {
		t.Errorf("events = %q, want one about x9z.large", events)
	}
}

func TestTypeOutsideTheCatalogueIsLookedUp(t *testing.T) {
	w := newWorld(t, func(c *fakeaws.Config) {
		c.InstanceTypes = []fakeaws.InstanceType{{Name: "x9z.large", VCPU: 2, MemoryMiB: 8192}}
	}, group("new", "x9z.large", 0, 0, 3, nil), group("known", "m5.large", 0, 0, 3, nil))
	w.eventually(func() string {
		info, err := w.nodeGroup("new").TemplateNodeInfo()
		if err != nil {
			return err.Error()
		}
		if cpu := info.Node().Status.Capacity.Cpu().Value(); cpu != 2 {
			return fmt.Sprintf("template has %d CPUs, want 2", cpu)
		}
		return ""
	})
	if got := w.aws.Calls()["DescribeInstanceTypes"]; got != 1 {
		t.Errorf("%d calls for the type, want 1", got)
	}
}

func TestTagsSetTheGroupsOptions(t *testing.T) {
	options := template + "autoscaling-options/"
	w := newWorld(t, nil, group("a", "m5.large", 0, 0, 3, map[string]string{
		options + "scaledownunneededtime": "30s", options + "scaledownutilizationthreshold": "0.7", options + "ignoredaemonsetsutilization": "true"}))
	defaults := config.NodeGroupAutoscalingOptions{ScaleDownUnneededTime: 10 * time.Minute, ScaleDownUnreadyTime: 20 * time.Minute, ScaleDownUtilizationThreshold: 0.5}
	got, err := w.nodeGroup("a").GetOptions(defaults)
	if err != nil {
		t.Fatal(err)
	}
	want := config.NodeGroupAutoscalingOptions{ScaleDownUnneededTime: 30 * time.Second, ScaleDownUnreadyTime: 20 * time.Minute,
		ScaleDownUtilizationThreshold: 0.7, IgnoreDaemonSetsUtilization: true}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

// Run under the race detector: the core's loop, its deletions and its instance cache at once.
func TestTheCoreMayAskFromManyGoroutines(t *testing.T) {
	w := newWorld(t, nil, group("a", "m5.large", 0, 4, 500, nil), group("b", "m5.large", 0, 0, 500, nil))
	var all sync.WaitGroup
	repeat := func(do func(i int)) {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 30 {
				do(i)
			}
		}()
	}
	repeat(func(int) { w.refresh() })
	repeat(func(int) {
		if err := w.nodeGroup("b").IncreaseSize(1); err != nil {
			t.Error(err)
		}
	})
	repeat(func(i int) {
		if nodes := w.nodes("a"); i%10 == 0 && len(nodes) > 0 {
			if err := w.nodeGroup("a").DeleteNodes(nodes[:1]); err != nil {
				t.Error(err)
			}
		}
	})
	repeat(func(int) {
		for _, ng := range w.NodeGroups() {
			_, _ = ng.TargetSize()
			for _, n := range w.nodes(ng.Id()) {
				_, _ = w.NodeGroupForNode(n)
				_, _ = w.HasInstance(n)
			}
			_, _ = ng.TemplateNodeInfo()
		}
	})
	all.Wait()
	if state, _ := w.aws.Group("b"); state.Desired != 30 {
		t.Errorf("desired capacity of b is %d, want 30", state.Desired)
	}
}
