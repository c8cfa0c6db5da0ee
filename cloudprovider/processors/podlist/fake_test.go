package podlist

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/podinjection"
	injectionbackoff "k8s.io/autoscaler/cluster-autoscaler/processors/podinjection/backoff"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/testsnapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/fake"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
)

// copying adds copies of the first pending pod, as the core's proactive scale-up does.
type copying int

func (c copying) Process(_ *cacontext.AutoscalingContext, pending []*corev1.Pod) ([]*corev1.Pod, error) {
	for range c {
		pending = append(pending, fake.WithFakePodAnnotation(pending[0].DeepCopy()))
	}
	return pending, nil
}

func (copying) CleanUp() {}

func TestFakePodsAskForNothing(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{
		drain.PodSafeToEvictKey: "false", string(nodemeta.DoNotDisrupt): "true"}}, Status: corev1.PodStatus{NominatedNodeName: "n"}}
	want := pod.DeepCopy()
	all, err := (&Fakes{PodListProcessor: copying(2)}).Process(nil, []*corev1.Pod{pod})
	require.True(t, err == nil && len(all) == 3)
	assert.Equal(t, want, all[0], "the pod itself")
	for _, copied := range all[1:] {
		assert.Equal(t, map[string]string{fake.FakePodAnnotationKey: fake.FakePodAnnotationValue, drain.PodSafeToEvictKey: "true"}, copied.Annotations)
		assert.Empty(t, copied.Status.NominatedNodeName, "the node of the pod")
	}
}

// Nobody makes the claims of a copy, so it fits nowhere. The core may try it alone for all pods of its controller.
func TestPodsWithClaimsOfTheirOwnAreNotCopied(t *testing.T) {
	claim := func(c corev1.PodResourceClaim) corev1.PodSpec {
		return corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{c}}
	}
	volume := func(s corev1.VolumeSource) corev1.PodSpec {
		return corev1.PodSpec{Volumes: []corev1.Volume{{Name: "scratch", VolumeSource: s}}}
	}
	for name, tt := range map[string]struct {
		spec corev1.PodSpec
		want int // pods
	}{
		"a claim that others share": {claim(corev1.PodResourceClaim{ResourceClaimName: ptr.To("gpu")}), 3},
		"a claim by a template":     {claim(corev1.PodResourceClaim{ResourceClaimTemplateName: ptr.To("gpu")}), 1},
		"a directory":               {volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}), 3},
		"an ephemeral volume":       {volume(corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}), 1},
		"a pod that a gate holds":   {corev1.PodSpec{SchedulingGates: []corev1.PodSchedulingGate{{Name: "queue"}}}, 1},
	} {
		all, err := (&Fakes{PodListProcessor: copying(2)}).Process(nil, []*corev1.Pod{{Spec: tt.spec}})
		assert.Truef(t, err == nil && len(all) == tt.want, "%s: %d pods, error %v, want %d", name, len(all), err, tt.want)
	}
}

// The core makes each missing pod, which may be two thousand million, before it counts them.
func TestControllersThatLackTooMuchAreLeftOut(t *testing.T) {
	const limit = 100
	controlled := func(uid types.UID) *corev1.Pod {
		owner := metav1.OwnerReference{UID: uid, Controller: ptr.To(true)}
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: string(uid), OwnerReferences: []metav1.OwnerReference{owner}}}
	}
	meta := func(uid types.UID) metav1.ObjectMeta { return metav1.ObjectMeta{Name: string(uid), UID: uid} }
	replicaSet := func(uid types.UID, want, has int32) *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: meta(uid), Spec: appsv1.ReplicaSetSpec{Replicas: &want}, Status: appsv1.ReplicaSetStatus{Replicas: has}}
	}
	deleted := replicaSet("deleted", 3, 0)
	deleted.DeletionTimestamp = &metav1.Time{Time: time.Now()} // in the foreground. Its pods end, and are not counted any more
	replicaSets, err := kubeutil.NewTestReplicaSetLister([]*appsv1.ReplicaSet{
		replicaSet("huge", 2_000_000_000, 1), replicaSet("web", 4*limit-3, 1), replicaSet("runs", 50*limit, 50*limit), deleted})
	require.NoError(t, err)
	statefulSets, err := kubeutil.NewTestStatefulSetLister([]*appsv1.StatefulSet{{ObjectMeta: meta("sets"), Spec: appsv1.StatefulSetSpec{
		PodManagementPolicy: appsv1.ParallelPodManagement, Replicas: ptr.To[int32](1_000_000_000)}}})
	require.NoError(t, err)
	queue, few := batchv1.JobSpec{Parallelism: ptr.To[int32](1_000_000_000)}, batchv1.JobSpec{Parallelism: ptr.To[int32](1_000_000_000)}
	few.Completions = ptr.To[int32](3)
	half, waits := batchv1.JobSpec{Parallelism: ptr.To[int32](limit / 2)}, batchv1.JobSpec{Parallelism: ptr.To[int32](limit / 2), Suspend: ptr.To(true)}
	stopping := batchv1.JobStatus{Terminating: ptr.To[int32](1)}
	failing := batchv1.JobStatus{Terminating: ptr.To[int32](1),
		Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue}}}
	lost := batchv1.JobStatus{Active: 1, FailedIndexes: ptr.To("1")} // which gets no pod any more
	resumed := batchv1.JobStatus{Active: 1, Conditions: []batchv1.JobCondition{{Type: batchv1.JobSuspended, Status: corev1.ConditionFalse}}}
	jobs, err := kubeutil.NewTestJobLister([]*batchv1.Job{{ObjectMeta: meta("queue"), Spec: queue},
		{ObjectMeta: meta("done"), Spec: half, Status: batchv1.JobStatus{Succeeded: limit / 2}}, {ObjectMeta: meta("suspended"), Spec: waits},
		{ObjectMeta: meta("stopping"), Spec: waits, Status: stopping}, {ObjectMeta: meta("failing"), Spec: half, Status: failing}, {ObjectMeta: meta("lost"), Spec: few, Status: lost},
		{ObjectMeta: meta("resumed"), Spec: few, Status: resumed}, {ObjectMeta: meta("few"), Spec: few, Status: batchv1.JobStatus{Active: 1}}})
	require.NoError(t, err)
	listers := kubeutil.NewListerRegistry(nil, nil, kubeutil.NewTestPodLister(nil), nil, nil, nil, jobs, replicaSets, statefulSets)
	ctx := &cacontext.AutoscalingContext{ClusterSnapshot: testsnapshot.NewTestSnapshotOrDie(t),
		AutoscalingKubeClients: cacontext.AutoscalingKubeClients{ListerRegistry: listers}}
	registry := injectionbackoff.NewFakePodControllerRegistry()
	core := podinjection.NewPodInjectionPodListProcessor(registry)
	b := &Bounded{PodListProcessor: core, LeftOut: registry, Limit: limit, Clock: clock.RealClock{}}
	pending := []*corev1.Pod{controlled("huge"), controlled("web"), controlled("sets"), controlled("queue"), controlled("few"),
		controlled("stopping"), controlled("failing"), controlled("lost"), controlled("resumed"), controlled("deleted")} // pods that end have a node
	for range 2 {
		made := map[types.UID]int{}
		all, err := b.Process(ctx, slices.Clone(pending))
		require.NoError(t, err)
		for _, pod := range all[len(pending):] {
			made[pod.OwnerReferences[0].UID]++
		}
		assert.Equal(t, map[types.UID]int{"web": 4*limit - 4, "few": 2, "resumed": 2}, made)
	}
	assert.Zero(t, registry.BackOffUntil("suspended", time.Now()), "a suspended Job without pods is left out once it is resumed")
}
