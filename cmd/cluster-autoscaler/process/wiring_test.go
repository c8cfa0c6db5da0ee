package process

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/capacitybuffer/fakepods"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/autoscaler/cluster-autoscaler/observers/loopstart"
	capacitybuffer "k8s.io/autoscaler/cluster-autoscaler/processors/capacitybuffer"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodeinfosprovider"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/scaledowncandidates"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	utiltest "k8s.io/autoscaler/cluster-autoscaler/utils/test"
	kubeinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/buffers"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/decisions"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/snapshot"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/status"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

// wiredWith is the wiring of a process with features as flags would switch them on.
func wiredWith(change func(*Process)) coreoptions.AutoscalerOptions {
	return wiredOver(&aws.Provider{}, change)
}

func wiredOver(provider *aws.Provider, change func(*Process)) coreoptions.AutoscalerOptions {
	p := &Process{decisions: decisions.New(decisions.Config{})}
	p.core.ScaleUpFromZero, p.core.WriteStatusConfigMap, p.options.ScaleDown = true, true, true
	change(p)
	opts := p.coreOptions(nil)
	opts.AutoscalingKubeClients = &cacontext.AutoscalingKubeClients{}
	with := &assembly{draining: &podlist.Draining{}, reaction: status.NewReaction(nil, clock.RealClock{}),
		cloud: &cloud{provider: provider}, plan: plan.New(clock.RealClock{}), informers: kubeinformers.NewSharedInformerFactory(nil, 0)}
	with.injection = newInjection(p.core)
	if p.core.CapacitybufferPodInjectionEnabled {
		with.buffers = newBuffers(&buffers.Buffers{Registry: fakepods.NewRegistry(nil)}, nil)
	}
	if p.core.ProvisioningRequestEnabled {
		with.requests = newRequests(p.core, nil)
	}
	with.moves = scaledown.NewMoves(scaledown.Moves{Machine: &move.Machine{}})
	if p.options.ScaleDown {
		with.moves.Machine.Reasons = append(with.moves.Machine.Reasons, &move.Shrink{})
	}
	if p.options.AWS.Rotate {
		with.moves.Machine.Reasons = append(with.moves.Machine.Reasons, move.Rotate{})
	}
	p.wire(&opts, with)
	return opts
}

// steps are the extension points in the order in which a loop calls them.
var steps = []struct{ name, field string }{
	{"which Ready nodes are starting", "CustomResourcesProcessor"},
	{"whether the loop goes on", "ActionableClusterProcessor"},
	{"start of the loop", "LoopStartNotifier"},
	{"next node of each group", "TemplateNodeInfoProvider"},
	{"pending pods", "PodListProcessor"},
	{"whether pods may be young", "ScaleUpEnforcer"},
	{"scale-up", "ScaleUpOrchestrator"},
	{"groups that may grow", "NodeGroupListProcessor"},
	{"similar groups", "NodeGroupSetProcessor"},
	{"pause after a failure", "Backoff"},
	{"report of a scale-up", "ScaleUpStatusProcessor"},
	{"candidates for removal", "ScaleDownNodeProcessor"},
	{"nodes that are not needed", "ScaleDownCandidatesNotifier"},
	{"nodes that are removed", "ScaleDownSetProcessor"},
	{"report of a scale-down", "ScaleDownStatusProcessor"},
	{"end of the loop", "AutoscalingStatusProcessor"},
}

// leftToTheCore are the other extension points.
var leftToTheCore = []string{"BinpackingLimiter", "NodeGroupManager",
	"NodeGroupConfigProcessor", "ScaleStateNotifier", "AsyncNodeGroupStateChecker"}

// With a parallelism of 0 the nodes of a schedule would wait for ever, and others would be launched for their pods.
func TestSchedulesMoveNodesWhereSomeMayBeDrained(t *testing.T) {
	for _, tt := range []struct{ drains, removals, want int }{{1, 10, 1}, {0, 10, 0}, {1, 0, 0}} {
		p := &Process{registerer: prometheus.NewRegistry()}
		p.options.ScaleDown, p.options.AWS.Consolidate = true, options.ConsolidateOff
		p.core.MaxDrainParallelism, p.core.MaxScaleDownParallelism = tt.drains, tt.removals
		moves := p.newMoves(t.Context(), nil, &assembly{cloud: &cloud{provider: &aws.Provider{}},
			informers: kubeinformers.NewSharedInformerFactory(nil, 0)})
		assert.Lenf(t, moves.Machine.Reasons, tt.want, "reasons of moves, of %+v", tt)
	}
}

func TestWiring(t *testing.T) {
	requests := func(p *Process) {
		p.core.ProvisioningRequestEnabled, p.core.ProvisioningRequestMaxBackoffCacheSize = true, 1
	}
	buffers := func(p *Process) { p.core.CapacitybufferPodInjectionEnabled = true }
	injection := func(p *Process) { p.core.ProactiveScaleupEnabled = true }
	local := func(p *Process) { p.core.ScaleDownDelayTypeLocal = true }
	off := func(p *Process) { p.options.ScaleDown = false }
	dry := func(p *Process) { p.guard = &dryrun.Guard{} }
	var b strings.Builder
	defaults := printed(wiredWith(func(*Process) {}))
	b.WriteString("# Adapters in call order. An indented line is called by the line above it.\n# go test ./cmd/cluster-autoscaler/process -run TestWiring -update\n")
	for _, variant := range []struct {
		name   string
		change func(*Process)
	}{
		{"all features off", func(*Process) {}},
		{"--enable-provisioning-requests", requests},
		{"--capacity-buffer-pod-injection-enabled", buffers},
		{"--enable-proactive-scaleup", injection},
		{"--allowed-scheduler-names", func(p *Process) { p.core.AllowedSchedulers = map[string]bool{corev1.DefaultSchedulerName: true} }},
		{"--scale-down-delay-type-local", local},
		{"--scale-down-enabled=false", off},
		{"dry run", dry},
		{"--asg-rotate", func(p *Process) { p.options.AWS.Rotate = true }},
		{"all of these", func(p *Process) {
			for _, change := range []func(*Process){requests, buffers, injection, local, off} {
				change(p)
			}
		}},
	} {
		fmt.Fprintf(&b, "\n== %s\n", variant.name)
		for at, text := range printed(wiredWith(variant.change)) {
			if variant.name == "all features off" || text != defaults[at] {
				b.WriteString(text)
			}
		}
	}
	b.WriteString("\n== order of the candidates for removal\n")
	for _, name := range comparers(reflect.ValueOf(wiredWith(func(*Process) {}).Processors.ScaleDownNodeProcessor)) {
		fmt.Fprintf(&b, "  %s\n", name)
	}
	for _, names := range []string{"least-waste", "least-cost", "most-pods,random"} {
		list, err := expander.Parse(names)
		require.NoError(t, err)
		chain := expander.New(list, expander.Config{LeastCost: leastcost.New(nil, nil, nil, 0, clock.RealClock{}), Interrupted: func(string) bool { return false }})
		fmt.Fprintf(&b, "\n== --expander=%s\n", names)
		steps := reflect.ValueOf(*chain).FieldByName("steps")
		for at := range steps.Len() {
			fmt.Fprintf(&b, "  %s\n", steps.Index(at).FieldByName("name"))
		}
	}
	golden(t, "testdata/wiring.txt", b.String())
}

// mostAdapters is how many adapters of ours are wired with every feature off. Merge two that are one idea before you add another.
const mostAdapters = 28

func TestAdaptersStayFew(t *testing.T) {
	ours := map[string]bool{}
	for _, text := range printed(wiredWith(func(*Process) {})) {
		for line := range strings.SplitSeq(text, "\n") {
			if name, indented := strings.CutPrefix(line, "  "); indented && !strings.HasSuffix(name, "(core)") && strings.TrimSpace(name) != "-" {
				ours[strings.TrimSpace(name)] = true
			}
		}
	}
	assert.Truef(t, len(ours) <= mostAdapters,
		"%d adapters are wired with every feature off, want at most %d: %q", len(ours), mostAdapters, slices.Sorted(maps.Keys(ours)))
}

func TestWiringKnowsEveryExtensionPoint(t *testing.T) {
	known := slices.Clone(leftToTheCore)
	for _, s := range steps {
		known = append(known, s.field)
	}
	processors := reflect.TypeFor[coreoptions.AutoscalerOptions]()
	field, _ := processors.FieldByName("Processors")
	for at := range field.Type.Elem().NumField() {
		if name := field.Type.Elem().Field(at).Name; !slices.Contains(known, name) {
			t.Errorf("the core has a new extension point %s: put it into the table of steps or into leftToTheCore", name)
		}
	}
}

// printed has one text for each of the steps.
func printed(opts coreoptions.AutoscalerOptions) []string {
	var list []string
	for _, s := range steps {
		field := reflect.ValueOf(*opts.Processors).FieldByName(s.field)
		if !field.IsValid() {
			field = reflect.ValueOf(opts).FieldByName(s.field)
		}
		point := field.Type()
		switch s.field {
		case "LoopStartNotifier":
			point = reflect.TypeFor[loopstart.Observer]()
		case "ScaleDownCandidatesNotifier":
			point = reflect.TypeFor[scaledowncandidates.Observer]()
		}
		list = append(list, fmt.Sprintf("%s (%s)\n%s", s.name, s.field, adapters(field, point, "  ")))
	}
	return list
}

// comparers returns the types of the comparers that sort the candidates of a ScaleDownNodeProcessor, or of one that it wraps.
func comparers(v reflect.Value) (names []string) {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	for at := range v.NumField() {
		switch field := v.Field(at); field.Type() {
		case reflect.TypeFor[nodes.ScaleDownNodeProcessor]():
			names = append(names, comparers(field)...)
		case reflect.TypeFor[[]nodes.ScaleDownNodeProcessor]():
			for i := range field.Len() {
				names = append(names, comparers(field.Index(i))...)
			}
		case reflect.TypeFor[[]scaledowncandidates.CandidatesComparer]():
			for i := range field.Len() {
				names = append(names, strings.TrimPrefix(field.Index(i).Elem().Type().String(), "*"))
			}
		}
	}
	return names
}

// adapters prints the types of an extension point's value and of the values of the same interface that it wraps.
func adapters(v reflect.Value, point reflect.Type, indent string) string {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return indent + "-\n"
	}
	name := strings.TrimPrefix(v.Type().String(), "*")
	if strings.HasPrefix(reflect.Indirect(v).Type().PkgPath(), "k8s.io/autoscaler/") {
		name += " (core)"
	}
	text := indent + name + "\n"
	if strings.HasPrefix(reflect.Indirect(v).Type().Name(), "Combined") { // a list: its members stand on the same level
		text = ""
	} else {
		indent += "  "
	}
	return text + wrapped(v, point, indent)
}

// wrapped prints the values of the interface in the fields of v.
func wrapped(v reflect.Value, point reflect.Type, indent string) string {
	if v = reflect.Indirect(v); v.Kind() != reflect.Struct {
		return ""
	}
	text := ""
	for at := range v.NumField() {
		switch field := v.Field(at); {
		case field.Type() == point && !field.IsNil():
			text += adapters(field, point, indent)
		case field.Kind() == reflect.Slice && field.Type().Elem().Implements(point):
			for i := range field.Len() {
				text += adapters(field.Index(i), point, indent)
			}
		case v.Type().Field(at).Anonymous && field.Kind() == reflect.Struct:
			text += wrapped(field, point, indent)
		}
	}
	return text
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(string(want), got), "%s (-want +got)", file)
}

// The core itself would take full nodes of other schedulers for empty ones. It makes a copy of a running pod for each pod that the list lacks.
func TestOnlyPendingPodsOfOtherSchedulersAreLeftOut(t *testing.T) {
	p := &Process{}
	p.core.AllowedSchedulers = map[string]bool{corev1.DefaultSchedulerName: true}
	p.core.ProactiveScaleupEnabled, p.core.PodInjectionLimit = true, 100
	opts := p.coreOptions(nil)
	assert.Empty(t, opts.AllowedSchedulers, "schedulers whose running pods alone the core counts")
	info := framework.NewTestNodeInfo(utiltest.BuildTestNode("n", 1000, 1<<30))
	var pending []*corev1.Pod
	var replicaSets []*appsv1.ReplicaSet
	for _, scheduler := range []string{"volcano", corev1.DefaultSchedulerName} {
		meta := metav1.ObjectMeta{Name: scheduler, UID: types.UID(scheduler)}
		replicaSets = append(replicaSets, &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(10))}})
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{UID: meta.UID, Controller: new(true)}}},
			Spec: corev1.PodSpec{SchedulerName: scheduler}}
		info.AddPod(framework.NewPodInfo(pod, nil))
		pending = append(pending, pod.DeepCopy())
	}
	cluster := testsnapshot.NewTestSnapshotOrDie(t)
	require.NoError(t, cluster.AddNodeInfo(info))
	rs, err := kubeutil.NewTestReplicaSetLister(replicaSets)
	require.NoError(t, err)
	jobs, err := kubeutil.NewTestJobLister(nil)
	require.NoError(t, err)
	sets, err := kubeutil.NewTestStatefulSetLister(nil)
	require.NoError(t, err)
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: cluster, AutoscalingKubeClients: cacontext.AutoscalingKubeClients{
		ListerRegistry: kubeutil.NewListerRegistry(nil, nil, kubeutil.NewTestPodLister(nil), nil, nil, nil, jobs, rs, sets)}}
	with := &assembly{cloud: &cloud{provider: &aws.Provider{}}, draining: &podlist.Draining{}, ending: &podlist.Ending{}}
	with.injection = newInjection(p.core)
	for _, processor := range p.podList(with, &podlist.OneZone{}) {
		if _, allowed := processor.(podlist.Allowed); allowed || processor == with.injection.pods {
			pending, err = processor.Process(ctx, pending)
			require.NoError(t, err)
		}
	}
	may := map[string]int{}
	for _, pod := range pending {
		may[pod.Spec.SchedulerName]++
	}
	assert.Equal(t, map[string]int{corev1.DefaultSchedulerName: 9}, may, "pods that may cause a scale-up")
	assert.Equal(t, podlist.Allowed(p.core.AllowedSchedulers), with.draining.Allowed, "schedulers whose drained pods may")
}

// adding adds a pod, as the core's injector of ProvisioningRequests does.
type adding struct{ pod *corev1.Pod }

func (a adding) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	return append(pending, a.pod), nil
}

func (adding) CleanUp() {}

func TestRequestedPodsPassZoneGuard(t *testing.T) {
	w := awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "ab"))
	pod := &corev1.Pod{Spec: corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelTopologyZone: awsworld.ZoneA}}}
	with := &assembly{cloud: &cloud{provider: w.Provider}, draining: &podlist.Draining{}, ending: &podlist.Ending{}}
	with.requests.injector = adding{pod}
	p := &Process{decisions: decisions.New(decisions.Config{Provider: w.Provider})}
	list := p.podList(with, &podlist.OneZone{Provider: w.Provider, ZoneName: func(string) string { return "" }, Volumes: podzone.Volumes{}})
	var pending []*corev1.Pod
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t)}
	for _, processor := range list[slices.Index(list, pods.PodListProcessor(adding{pod})):] {
		var err error
		pending, err = processor.Process(ctx, pending)
		require.NoError(t, err)
	}
	require.Len(t, pending, 1, "pods are pending")
	node := utiltest.BuildTestNode("several-zones", 1000, 1<<30)
	node.Labels = map[string]string{corev1.LabelTopologyZone: awsworld.ZoneA, nodemeta.ZoneAssumed: nodemeta.Among([]string{awsworld.ZoneA, awsworld.ZoneB})}
	cluster := testsnapshot.NewTestSnapshotOrDie(t)
	require.NoError(t, cluster.AddNodeInfo(framework.NewTestNodeInfo(node)))
	assert.NotNil(t, cluster.CheckPredicates(pending[0], node.Name), "the pod fits on a node whose zone is assumed")
	assert.NoError(t, cluster.CheckPredicates(pod, node.Name), "without the guard the pod does not fit either")
}

// The core's own steps take pods that only the core makes out of the status.
func TestFakePodThatNeedsAZoneDividesItsGroup(t *testing.T) {
	for name, annotations := range map[string]map[string]string{
		"of a buffer":         {capacitybuffer.CapacityBufferFakePodAnnotationKey: capacitybuffer.CapacityBufferFakePodAnnotationValue},
		"yet to be created":   {fake.FakePodAnnotationKey: fake.FakePodAnnotationValue},
		"that somebody makes": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := awsworld.NewDivided(t, nil, awsworld.Zoned(awsworld.Group("several", "m5.large", 0, 0, 5, nil), "abc"))
			opts := wiredOver(w.Provider, func(p *Process) {
				p.core.CapacitybufferPodInjectionEnabled, p.core.ProactiveScaleupEnabled = true, true
			})
			ctx := &cacontext.AutoscalingContext{CloudProvider: w.Provider, ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t),
				AutoscalingKubeClients:   cacontext.AutoscalingKubeClients{Recorder: record.NewFakeRecorder(10)},
				TemplateNodeInfoRegistry: nodeinfosprovider.NewTemplateNodeInfoRegistry(opts.Processors.TemplateNodeInfoProvider)}
			require.NoError(t, ctx.TemplateNodeInfoRegistry.Recompute(ctx, nil, nil, taints.TaintConfig{}, time.Now()))
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: annotations,
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", Controller: new(true)}}},
				Spec: corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelTopologyZone: awsworld.ZoneB}}}
			opts.Processors.ScaleUpStatusProcessor.Process(ctx, &corestatus.ScaleUpStatus{Result: corestatus.ScaleUpNoOptionsAvailable,
				ConsideredNodeGroups: w.NodeGroups(), PodsRemainUnschedulable: []corestatus.NoScaleUpInfo{{Pod: pod}}})
			assert.True(t, w.Dividing(), "the group will be divided")
		})
	}
}

// The core reads claims from several goroutines by default, in its own snapshots, too, and dies of it.
func TestCoreReadsClaimsFromOneGoroutine(t *testing.T) {
	p := &Process{}
	p.core.PredicateParallelism, p.core.DynamicResourceAllocationEnabled = 4, true
	opts := p.coreOptions(nil)
	_, ours := opts.ClusterSnapshot.(*snapshot.Snapshot)
	assert.Truef(t, ours, "the core's snapshot is a %T, want ours", opts.ClusterSnapshot)
	assert.Equal(t, 1, opts.AutoscalingOptions.PredicateParallelism, "goroutines of snapshots of nodes to delete")
}

func TestLabelsOfOneGroupDoNotMakeGroupsDifferent(t *testing.T) {
	p := &Process{}
	p.core.BalancingExtraIgnoredLabels = []string{"example.com/ignored"}
	similar := nodegroupset.CreateAwsNodeInfoComparator(p.ignoredLabels(), config.NewDefaultNodeGroupDifferenceRatios())
	labelled := func(key string) *framework.NodeInfo {
		return framework.NewNodeInfo(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{key: "true"}}}, nil)
	}
	for key, want := range map[string]bool{
		nodemeta.ZoneAssumed: true, nodemeta.KindAssumed: true, "example.com/ignored": true, "example.com/team": false,
		"eks.amazonaws.com/nodegroup": true, "eks.amazonaws.com/nodegroup-image": true, "eks.amazonaws.com/capacityType": false,
		"eks.amazonaws.com/sourceLaunchTemplateId": true, "eks.amazonaws.com/sourceLaunchTemplateVersion": true,
	} {
		assert.Equalf(t, want, similar(labelled(key), labelled("kubernetes.io/hostname")),
			"with the label %s on one of them, groups are similar", key)
	}
}
