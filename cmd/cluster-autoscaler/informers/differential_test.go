package informers_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourceapi "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaledown/pdb"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/equivalence"
	"k8s.io/autoscaler/cluster-autoscaler/simulator"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/predicate"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot/store"
	csisnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/csi/snapshot"
	drasnapshot "k8s.io/autoscaler/cluster-autoscaler/simulator/dynamicresources/snapshot"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/options"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/utilization"
	"k8s.io/autoscaler/cluster-autoscaler/utils/daemonset"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
	"k8s.io/kubernetes/pkg/features"
	schedconfig "k8s.io/kubernetes/pkg/scheduler/apis/config/latest"

	ours "github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/informers"
)

// clusters is small in make test. More have been compared with no other result.
//
//	go test -run SameAnswers ./cmd/cluster-autoscaler/informers -trim.clusters 120
var clusters = flag.Int("trim.clusters", 11, "how many random clusters to compare for each set of feature gates")

// gen generates a cluster that uses all fields by which the core or its scheduler decides, and fields that nobody reads.
type gen struct{ *rand.Rand }

func (g gen) p(percent int) bool { return g.Intn(100) < percent }

func labelled(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

func (g gen) inZone() *corev1.NodeSelector {
	return &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
		{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{pick(g, "a", "b")}}}}}}
}

func pick[T any](g gen, of ...T) T { return of[g.Intn(len(of))] }

func (g gen) qty(unit string, most int) resource.Quantity {
	return resource.MustParse(fmt.Sprintf("%d%s", 1+g.Intn(most), unit))
}

func (g gen) requests() corev1.ResourceList {
	l := corev1.ResourceList{}
	if g.p(80) {
		l[corev1.ResourceCPU] = g.qty("00m", 15)
	}
	if g.p(80) {
		l[corev1.ResourceMemory] = g.qty("00Mi", 20)
	}
	if g.p(10) {
		l[corev1.ResourceEphemeralStorage] = g.qty("Gi", 20)
	}
	if g.p(10) {
		l["nvidia.com/gpu"] = resource.MustParse("1")
	}
	return l
}

func (g gen) container(name string, init bool, pod *corev1.Pod) corev1.Container {
	c := corev1.Container{Name: name, Image: pick(g, "app:1", "app:2"), Command: []string{"run"},
		Env: []corev1.EnvVar{{Name: "A", Value: fmt.Sprint(g.Intn(3))}}, VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/d"}},
		Resources: corev1.ResourceRequirements{Requests: g.requests()}, SecurityContext: &corev1.SecurityContext{Privileged: new(g.p(50))},
		ReadinessProbe: &corev1.Probe{PeriodSeconds: 3}, TerminationMessagePath: "/dev/termination-log", ImagePullPolicy: corev1.PullAlways,
		ResizePolicy: []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: "NotRequired"}},
	}
	if g.p(30) {
		c.Resources.Limits = c.Resources.Requests.DeepCopy()
	}
	if g.p(25) {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: pick(g, int32(80), 81, 0), HostIP: pick(g, "", "10.0.0.1"),
			Protocol: pick(g, corev1.ProtocolTCP, corev1.ProtocolUDP)}}
	}
	switch {
	case g.p(10):
		c.RestartPolicy = new(corev1.ContainerRestartPolicyNever)
		c.RestartPolicyRules = []corev1.ContainerRestartRule{{
			Action:    pick(g, corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers),
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: "In", Values: []int32{42}}}}
	case init && g.p(50):
		c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	case !init && g.p(15):
		c.RestartPolicy = new(corev1.ContainerRestartPolicyNever)
	}
	if len(pod.Spec.ResourceClaims) > 0 && g.p(60) {
		c.Resources.Claims = []corev1.ResourceClaim{{Name: pod.Spec.ResourceClaims[0].Name}}
	}
	return c
}

func (g gen) volumes() []corev1.Volume {
	sources := map[string]corev1.VolumeSource{
		"empty":     {EmptyDir: &corev1.EmptyDirVolumeSource{Medium: pick(g, "", corev1.StorageMediumMemory)}},
		"host":      {HostPath: &corev1.HostPathVolumeSource{Path: "/x"}},
		"claim":     {PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprint("pvc-", g.Intn(8))}},
		"cm":        {ConfigMap: &corev1.ConfigMapVolumeSource{}},
		"secret":    {Secret: &corev1.SecretVolumeSource{SecretName: "s"}},
		"projected": {Projected: &corev1.ProjectedVolumeSource{}},
		"down":      {DownwardAPI: &corev1.DownwardAPIVolumeSource{}},
		"ebs":       {AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: fmt.Sprint("vol-", g.Intn(3))}},
		"gce":       {GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{PDName: fmt.Sprint("pd-", g.Intn(2))}},
		"iscsi":     {ISCSI: &corev1.ISCSIVolumeSource{IQN: "iqn", TargetPortal: "t"}},
		"rbd":       {RBD: &corev1.RBDVolumeSource{CephMonitors: []string{"a"}, RBDPool: "p", RBDImage: "i"}},
		"csi":       {CSI: &corev1.CSIVolumeSource{Driver: "inline.csi"}},
		"nfs":       {NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}},
		"image":     {Image: &corev1.ImageVolumeSource{Reference: "x"}},
	}
	var volumes []corev1.Volume
	for n := range g.Intn(5) {
		name := pick(g, append(slices.Sorted(maps.Keys(sources)), "claim")...)
		volumes = append(volumes, corev1.Volume{Name: fmt.Sprintf("%s-%d", name, n), VolumeSource: sources[name]})
	}
	return volumes
}

func (g gen) affinity() *corev1.Affinity {
	if g.p(60) {
		return nil
	}
	a := &corev1.Affinity{}
	app := labelled("app", pick(g, "a", "b", "c"))
	term := corev1.PodAffinityTerm{TopologyKey: pick(g, corev1.LabelTopologyZone, corev1.LabelHostname),
		LabelSelector: pick(g, nil, nil, &metav1.LabelSelector{}, app, app, app, app, app, app)}
	switch g.Intn(4) {
	case 0:
		term.Namespaces = []string{"other"}
	case 1:
		term.NamespaceSelector = &metav1.LabelSelector{}
	case 2:
		term.NamespaceSelector = labelled("team", "x")
	}
	if g.p(20) {
		term.MatchLabelKeys = []string{"app"}
	}
	if terms := []corev1.PodAffinityTerm{term}; g.p(70) {
		a.PodAntiAffinity = &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}
	} else {
		a.PodAffinity = &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}
	}
	if g.p(40) {
		a.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: g.inZone()}
	}
	return a
}

func (g gen) pod(n int) *corev1.Pod {
	name := fmt.Sprint("pod-", n)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, GenerateName: "pod-", Namespace: pick(g, "default", "default", "other", "kube-system"),
		UID: types.UID(name), Labels: map[string]string{"app": pick(g, "a", "b", "c")}, CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000, 0)),
		Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}}}
	for key, values := range map[string][]string{
		"cluster-autoscaler.kubernetes.io/safe-to-evict":               {"true", "false", "OnCompletion"},
		"cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": {"empty-0", "host-0,empty-1", "empty-0,host-1,empty-1"},
		"kubernetes.io/config.mirror":                                  {"x"},
		"kubernetes.io/config.source":                                  {"file", "api"},
		"cluster-autoscaler.kubernetes.io/daemonset-pod":               {"true"},
		"cluster-autoscaler.kubernetes.io/pod-scale-up-delay":          {"10s"},
	} {
		if g.p(12) {
			p.Annotations[key] = pick(g, values...)
		}
	}
	if g.p(85) {
		of := pick(g, metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, metav1.TypeMeta{APIVersion: "v1", Kind: "ReplicationController"},
			metav1.TypeMeta{APIVersion: "x.io/v1", Kind: "Custom"}, metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
			metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
			metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"}, metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"})
		owner := fmt.Sprint(strings.ToLower(of.Kind), "-", g.Intn(3))
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: of.APIVersion, Kind: of.Kind, Name: owner, UID: types.UID(owner), Controller: new(true)}}
	}
	s := &p.Spec
	if g.p(10) {
		s.ResourceClaims = []corev1.PodResourceClaim{{Name: "dev", ResourceClaimName: new(pick(g, "claim-0", "claim-1"))}}
	}
	s.SchedulerName, s.TerminationGracePeriodSeconds = "default-scheduler", new(int64(30))
	s.RestartPolicy = pick(g, corev1.RestartPolicyAlways, corev1.RestartPolicyNever)
	s.ServiceAccountName, s.DeprecatedServiceAccount, s.DNSPolicy, s.EnableServiceLinks = "sa", "sa", corev1.DNSClusterFirst, new(true)
	s.SecurityContext, s.ImagePullSecrets = &corev1.PodSecurityContext{FSGroup: new(int64(1))}, []corev1.LocalObjectReference{{Name: "r"}}
	s.HostNetwork, s.Priority = g.p(10), new(int32(g.Intn(3)-1))
	for i := range g.Intn(3) {
		s.InitContainers = append(s.InitContainers, g.container(fmt.Sprint("init-", i), true, p))
	}
	for i := range 1 + g.Intn(2) {
		s.Containers = append(s.Containers, g.container(fmt.Sprint("c-", i), false, p))
	}
	if g.p(5) {
		s.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}}}
	}
	s.Volumes = g.volumes()
	if g.p(10) {
		s.Volumes = append(s.Volumes, corev1.Volume{Name: "eph", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
			VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: new("fast")}}}}})
	}
	s.Affinity = g.affinity()
	if g.p(20) {
		s.NodeSelector = map[string]string{corev1.LabelTopologyZone: pick(g, "a", "b")}
	}
	if g.p(30) {
		s.Tolerations = []corev1.Toleration{{Key: "spot", Operator: corev1.TolerationOpExists}}
	}
	if g.p(20) {
		s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: pick(g, corev1.LabelTopologyZone, corev1.LabelHostname),
			WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: labelled("app", pick(g, "a", "b")), MinDomains: new(int32(2))}}
	}
	if g.p(10) {
		s.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	}
	if g.p(10) {
		s.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: g.qty("00m", 20)}}
	}
	if g.p(5) {
		s.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}}
	}
	st := &p.Status
	st.Phase, st.QOSClass = pick(g, corev1.PodRunning, corev1.PodRunning, corev1.PodPending, corev1.PodSucceeded), corev1.PodQOSBurstable
	st.HostIP, st.PodIP, st.HostIPs, st.PodIPs = "10.0.0.1", "10.0.0.2", []corev1.HostIP{{IP: "10.0.0.1"}}, []corev1.PodIP{{IP: "10.0.0.2"}}
	if g.p(10) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = new(metav1.NewTime(time.Unix(1_700_000_000+int64(g.Intn(2000)), 0))), new(int64(30))
		p.Finalizers = []string{"x"}
	}
	for _, c := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady,
		corev1.ContainersReady, corev1.PodScheduled} {
		st.Conditions = append(st.Conditions, corev1.PodCondition{Type: c, Status: pick(g, corev1.ConditionTrue, corev1.ConditionFalse)})
	}
	if g.p(20) {
		st.Conditions = append(st.Conditions, corev1.PodCondition{Type: pick(g, corev1.PodResizePending, corev1.PodResizeInProgress),
			Status: corev1.ConditionTrue, Reason: pick(g, corev1.PodReasonInfeasible, corev1.PodReasonDeferred, "")})
	}
	if g.p(50) {
		st.Resources, st.AllocatedResources = &corev1.ResourceRequirements{Requests: g.requests()}, g.requests()
	}
	status := func(c corev1.Container) corev1.ContainerStatus {
		cs := corev1.ContainerStatus{Name: c.Name, Ready: true, Image: c.Image, RestartCount: 2, ContainerID: "x",
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
		switch spec := c.Resources.DeepCopy(); g.Intn(5) {
		case 0: // no resources, as of an old kubelet
		case 1:
			cs.AllocatedResources, cs.Resources = g.requests(), &corev1.ResourceRequirements{Requests: g.requests()}
		case 2:
			cs.AllocatedResources, cs.Resources = spec.Requests, &corev1.ResourceRequirements{Requests: g.requests(), Limits: g.requests()}
		case 3:
			cs.Resources = &corev1.ResourceRequirements{Requests: spec.Requests}
		default:
			cs.AllocatedResources, cs.Resources = c.Resources.Requests.DeepCopy(), spec
		}
		return cs
	}
	for _, c := range s.InitContainers {
		st.InitContainerStatuses = append(st.InitContainerStatuses, status(c))
	}
	for _, c := range s.Containers {
		st.ContainerStatuses = append(st.ContainerStatuses, status(c))
	}
	return p
}

func (g gen) node(n int) *corev1.Node {
	name := fmt.Sprint("node-", n)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name,
		corev1.LabelTopologyZone: pick(g, "a", "b"), corev1.LabelTopologyRegion: "r"},
		Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}},
		Spec: corev1.NodeSpec{ProviderID: "aws:///a/i-" + name, Unschedulable: g.p(5)},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("6"), corev1.ResourceMemory: resource.MustParse("12Gi"),
			corev1.ResourcePods: resource.MustParse("20"), corev1.ResourceEphemeralStorage: resource.MustParse("60Gi"), "nvidia.com/gpu": resource.MustParse("2")},
			Images: []corev1.ContainerImage{{Names: []string{"app:1"}, SizeBytes: 1 << 30}}, VolumesAttached: []corev1.AttachedVolume{{Name: "v"}}}}
	node.Status.Capacity = node.Status.Allocatable
	if g.p(30) {
		node.Spec.Taints = []corev1.Taint{{Key: "spot", Effect: corev1.TaintEffectNoSchedule}}
	}
	if g.p(50) {
		node.Status.DeclaredFeatures = []string{"RestartAllContainersOnContainerExits"}
	}
	return node
}

type cluster struct {
	nodes          []*corev1.Node
	placed, queued []*corev1.Pod
	objects        []runtime.Object
}

func (g gen) cluster() cluster {
	var c cluster
	for n := range 4 {
		node := g.node(n)
		c.nodes = append(c.nodes, node)
		c.objects = append(c.objects, node, &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: node.Name}, Spec: storagev1.CSINodeSpec{
			Drivers: []storagev1.CSINodeDriver{{Name: "ebs.csi.aws.com", NodeID: node.Name,
				Allocatable: &storagev1.VolumeNodeResources{Count: new(int32(1 + g.Intn(2)))}}}}})
	}
	for class, mode := range map[string]storagev1.VolumeBindingMode{"fast": storagev1.VolumeBindingImmediate, "late": storagev1.VolumeBindingWaitForFirstConsumer} {
		c.objects = append(c.objects, &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class,
			Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}}, Provisioner: "ebs.csi.aws.com", VolumeBindingMode: &mode})
	}
	for n := range 8 {
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("pv-", n), Labels: map[string]string{corev1.LabelTopologyZone: pick(g, "a", "b")}},
			Spec: corev1.PersistentVolumeSpec{Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: "fast",
				PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: fmt.Sprint("vol-", n)}},
				NodeAffinity:           &corev1.VolumeNodeAffinity{Required: g.inZone()}},
			Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound}}
		for _, ns := range []string{"default", "other", "kube-system"} {
			claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("pvc-", n), Namespace: ns, UID: types.UID(fmt.Sprint(ns, n)),
				Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "pv.kubernetes.io/bind-completed": "yes"}},
				Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: new("fast"), VolumeName: pv.Name,
					AccessModes: []corev1.PersistentVolumeAccessMode{pick(g, corev1.ReadWriteOnce, corev1.ReadWriteOncePod)},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}},
				Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
			if n == 7 { // not bound yet
				claim.Spec.VolumeName, claim.Spec.StorageClassName, claim.Status.Phase, claim.Annotations = "", new("late"), corev1.ClaimPending, nil
			}
			if ns == "default" {
				pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: ns, Name: claim.Name, UID: claim.UID}
			}
			c.objects = append(c.objects, claim)
		}
		c.objects = append(c.objects, pv)
	}
	for _, ns := range []string{"default", "other", "kube-system"} {
		c.objects = append(c.objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"team": pick(g, "x", "y")}}})
		for n := range 2 {
			template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}}, Spec: g.pod(1000).Spec}
			meta := func(kind string) metav1.ObjectMeta {
				return metav1.ObjectMeta{Name: fmt.Sprint(kind, "-", n), Namespace: ns, UID: types.UID(fmt.Sprint(kind, "-", n)),
					Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}"}}
			}
			c.objects = append(c.objects,
				&appsv1.ReplicaSet{ObjectMeta: meta("replicaset"), Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(g.Intn(3))), Template: template}},
				&appsv1.StatefulSet{ObjectMeta: meta("statefulset"), Spec: appsv1.StatefulSetSpec{Replicas: new(int32(2)), Template: template}},
				&appsv1.DaemonSet{ObjectMeta: meta("daemonset"), Spec: appsv1.DaemonSetSpec{Template: template}},
				&batchv1.Job{ObjectMeta: meta("job"), Spec: batchv1.JobSpec{Template: template}},
				&corev1.ReplicationController{ObjectMeta: meta("replicationcontroller"),
					Spec: corev1.ReplicationControllerSpec{Replicas: new(int32(g.Intn(3))), Template: &template}})
		}
		c.objects = append(c.objects, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "pdb", Namespace: ns},
			Spec:   policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(1)), Selector: labelled("app", pick(g, "a", "b"))},
			Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: int32(g.Intn(2))}})
	}
	for n := range 26 {
		p := g.pod(n)
		if n < 16 {
			p.Spec.NodeName = c.nodes[g.Intn(len(c.nodes))].Name
			c.placed = append(c.placed, p)
		} else {
			p.Status.Phase, p.DeletionTimestamp, p.Finalizers = corev1.PodPending, nil, nil
			for i := range p.Status.Conditions {
				if c := &p.Status.Conditions[i]; c.Type == corev1.PodScheduled {
					c.Status, c.Reason = corev1.ConditionFalse, pick(g, "", corev1.PodReasonUnschedulable, corev1.PodReasonSchedulingGated)
				}
			}
			c.queued = append(c.queued, p)
		}
		c.objects = append(c.objects, p)
	}
	return c
}

// answers is everything that the core says about a cluster, by question.
type answers map[string]string

// ask fills the core's listers and snapshot with the cluster and asks everything.
func ask(t *testing.T, c cluster, transform cache.TransformFunc) answers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	copied := make([]runtime.Object, len(c.objects))
	for n, o := range c.objects {
		copied[n] = o.DeepCopyObject()
	}
	factory := informers.NewSharedInformerFactoryWithOptions(fake.NewSimpleClientset(copied...), 0, informers.WithTransform(transform))
	config, err := schedconfig.Default()
	require.NoError(t, err)
	handle, err := framework.NewHandle(ctx, factory, config, true, true)
	require.NoError(t, err)
	listers := kube_util.NewListerRegistryWithDefaultListers(factory)
	factory.Core().V1().Namespaces().Lister()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	nodes, _ := listers.AllNodeLister().List()
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	pods, _ := listers.AllPodLister().List()
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	require.Truef(t, len(pods) >= 10 && len(nodes) == 4, "%d pods, %d nodes", len(pods), len(nodes))
	claims := map[drasnapshot.ResourceClaimId]*resourceapi.ResourceClaim{}
	oneGPU := resourceapi.DeviceRequest{Name: "r", Exactly: &resourceapi.ExactDeviceRequest{
		DeviceClassName: "gpu", AllocationMode: resourceapi.DeviceAllocationModeExactCount, Count: 1}}
	for _, ns := range []string{"default", "other", "kube-system"} {
		for _, name := range []string{"claim-0", "claim-1"} {
			claims[drasnapshot.ResourceClaimId{Name: name, Namespace: ns}] = &resourceapi.ResourceClaim{
				ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns, UID: types.UID(ns + name)},
				Spec:       resourceapi.ResourceClaimSpec{Devices: resourceapi.DeviceClaim{Requests: []resourceapi.DeviceRequest{oneGPU}}}}
		}
	}
	slicesOf := map[string][]*resourceapi.ResourceSlice{"node-0": {{ObjectMeta: metav1.ObjectMeta{Name: "s"},
		Spec: resourceapi.ResourceSliceSpec{Driver: "d", NodeName: new("node-0"),
			Pool: resourceapi.ResourcePool{Name: "p", ResourceSliceCount: 1}, Devices: []resourceapi.Device{{Name: "dev"}}}}}}
	dra := drasnapshot.NewSnapshot(claims, slicesOf, nil,
		map[string]*resourceapi.DeviceClass{"gpu": {ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}})
	csi := map[string]*storagev1.CSINode{}
	all, _ := factory.Storage().V1().CSINodes().Lister().List(labels.Everything())
	for _, n := range all {
		csi[n.Name] = n
	}
	snapshot := predicate.NewPredicateSnapshot(store.NewDeltaSnapshotStore(1), handle, true, 1, true)
	var placed, queued []*corev1.Pod
	for _, p := range pods {
		if p.Spec.NodeName != "" {
			placed = append(placed, p)
		} else {
			queued = append(queued, p)
		}
	}
	require.NoError(t, snapshot.SetClusterState(nodes, placed, dra, csisnapshot.NewSnapshot(csi)))
	daemonSets, _ := listers.DaemonSetLister().List(labels.Everything())
	budgets, _ := listers.PodDisruptionBudgetLister().List()
	now := time.Unix(1_700_000_000+1000, 0)
	got := answers{}
	for _, p := range queued {
		for _, n := range nodes {
			got["fits "+p.Name+" "+n.Name] = "fits"
			if err := snapshot.CheckPredicates(p, n.Name); err != nil {
				got["fits "+p.Name+" "+n.Name] = fmt.Sprint(err.Type(), err.FailingPredicateName(), err.FailingPredicateReasons())
			}
		}
	}
	// move asks which pods a drain of the node would move.
	move := func(info *framework.NodeInfo, deletion options.NodeDeleteOptions) string {
		tracker := pdb.NewBasicRemainingPdbTracker()
		require.NoError(t, tracker.SetPdbs(budgets))
		move, err := simulator.GetPodsToMove(info, deletion, nil, listers, tracker, now)
		return fmt.Sprint(names(move.Pods), "|", names(move.DaemonSetPods), "|", names(move.OnCompletionPods), "|", err, "|", move.BlockingPod != nil)
	}
	strict := options.NodeDeleteOptions{SkipNodesWithSystemPods: true, SkipNodesWithLocalStorage: true, SkipNodesWithCustomControllerPods: true, MinReplicaCount: 1}
	for _, n := range nodes {
		info, err := snapshot.GetNodeInfo(n.Name)
		require.NoError(t, err)
		got["sum "+n.Name] = fmt.Sprintf("%+v", info.GetRequested())
		got["ports "+n.Name] = fmt.Sprintf("%+v", info.GetUsedPorts())
		u, err := utilization.Calculate(info, true, true, true, nil, now)
		got["utilization "+n.Name] = fmt.Sprintf("%+v %v", u, err)
		forced, err := daemonset.GetDaemonSetPodsForNode(info, daemonSets)
		got["daemons "+n.Name] = fmt.Sprint(len(forced), err)
		got["drain all "+n.Name], got["drain none "+n.Name] = move(info, strict), move(info, options.NodeDeleteOptions{})
		for _, pi := range info.Pods() { // one by one, too: a blocking pod hides those after it
			alone := framework.NewNodeInfo(info.Node(), nil)
			alone.AddPod(framework.NewPodInfo(pi.Pod, nil))
			got["moves "+pi.Pod.Name] = move(alone, strict)
		}
	}
	got["groups"] = fmt.Sprint(len(equivalence.BuildPodGroups(queued)))
	by := kube_util.ArrangePodsBySchedulability(pods, map[string]bool{"default-scheduler": true})
	got["arranged"] = fmt.Sprint(names(by.Scheduled), "|", names(by.Unschedulable), "|", names(by.Unprocessed), "|",
		names(kube_util.SchedulingGatedPods(pods)))
	return got
}

func names(pods []*corev1.Pod) string {
	var list []string
	for _, p := range pods {
		list = append(list, p.Name)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// The core prints the address of the number of replicas.
var address = regexp.MustCompile(`[0-9]{9,}`)

// differences fails the test where a trimmed cluster gets another answer than the whole one.
func differences(t *testing.T, seeds int) {
	kinds := map[string]int{}
	for seed := range seeds {
		c := gen{rand.New(rand.NewSource(int64(seed)))}.cluster()
		full, cut := ask(t, c, nil), ask(t, c, ours.Trim)
		for key, was := range full {
			was, cut[key] = address.ReplaceAllString(was, "X"), address.ReplaceAllString(cut[key], "X")
			what := strings.Fields(key)[0]
			if cut[key] != was {
				kinds[what]++
				if kinds[what] <= 4 {
					t.Errorf("seed %d, %s (-full +trimmed):\n%s", seed, key, cmp.Diff(was, cut[key]))
				}
			}
		}
	}
}

func TestTrimmedClusterGetsTheSameAnswers(t *testing.T) {
	for name, gates := range map[string]featuregatetesting.FeatureOverrides{
		"default": nil,
		"declared features": {features.ContainerRestartRules: true, features.NodeDeclaredFeatures: true,
			features.RestartAllContainersOnContainerExits: true},
		"alpha features": {features.ContainerRestartRules: true, features.NodeDeclaredFeatures: true,
			features.InPlacePodLevelResourcesVerticalScaling: true, features.DRAExtendedResource: true, features.GenericWorkload: true,
			features.OpportunisticBatching: true},
	} {
		t.Run(name, func(t *testing.T) {
			if gates != nil {
				featuregatetesting.SetFeatureGatesDuringTest(t, utilfeature.DefaultFeatureGate, gates)
			}
			differences(t, *clusters)
		})
	}
}
