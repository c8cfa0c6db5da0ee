package dryrun

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
)

var began = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

// caches are informers of pods, nodes and DaemonSets that have been filled.
func caches(t testing.TB, objects ...*corev1.Pod) informers.SharedInformerFactory {
	t.Helper()
	factory := informers.NewSharedInformerFactory(fake.NewClientset(), 0)
	pods, daemonSets := factory.Core().V1().Pods().Informer(), factory.Apps().V1().DaemonSets().Informer()
	factory.Core().V1().Nodes().Informer()
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	for _, pod := range objects {
		require.NoError(t, pods.GetStore().Add(pod))
	}
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "aws-node", Args: []string{"--secret"}, Command: []string{"secret"},
		Env:     []corev1.EnvVar{{Name: "CLUSTER_NAME", Value: "shop"}, {Name: "TOKEN", Value: "secret"}},
		EnvFrom: []corev1.EnvFromSource{{Prefix: "secret"}}}}}}
	template.Annotations = map[string]string{"vault.example.com/role": "secret"}
	require.NoError(t, daemonSets.GetStore().Add(&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "aws-node", Namespace: "kube-system"},
		Spec: appsv1.DaemonSetSpec{Template: template}}))
	return factory
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", CreationTimestamp: metav1.NewTime(began.Add(-time.Minute)),
		Labels: map[string]string{"env": "prod", "args": "none"},
		Annotations: map[string]string{"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
			corev1.LastAppliedConfigAnnotation: "secret", "example.com/token": "secret"}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Reason: "Unschedulable"}}}}
}

func loops(r *Ring, factory informers.SharedInformerFactory, numbers ...int64) {
	snapshot := group.NewSnapshot(map[string]*group.Group{"web": {Name: "web", DesiredCapacity: 3}}, []*group.Group{
		{Name: "theirs", DesiredCapacity: 3, Problems: []launchspec.Problem{{Reason: ownership.ReasonOtherCluster}}},
		{Name: "left", Problems: []launchspec.Problem{{Reason: ownership.ReasonDropped}}}}, began)
	for _, number := range numbers {
		end := r.Begin(factory, nil, snapshot)
		end(func() *decision.Report {
			return &decision.Report{Version: decision.Version, Loop: decision.Loop{Number: number, Started: began}}
		})
	}
	r.Reports.Wait()
}

func answer(t *testing.T, r *Ring, result any) {
	t.Helper()
	stack := middleware.NewStack("test", func() any { return nil })
	require.NoError(t, r.AWS(stack))
	deserialized := middleware.DeserializeMiddlewareFunc("Answer", func(context.Context, middleware.DeserializeInput, middleware.DeserializeHandler) (
		middleware.DeserializeOutput, middleware.Metadata, error) {
		return middleware.DeserializeOutput{Result: result}, middleware.Metadata{}, nil
	})
	require.NoError(t, stack.Deserialize.Add(deserialized, middleware.After))
	handler := middleware.HandlerFunc(func(context.Context, any) (any, middleware.Metadata, error) { return nil, middleware.Metadata{}, nil })
	out, _, err := middleware.DecorateHandler(handler, stack).Handle(t.Context(), nil)
	require.Truef(t, err == nil && out == result, "the caller gets %v, %v", out, err)
}

func fetch(t *testing.T, r *Ring, query string) (code int, body string, archive *zip.Reader) {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/status/loop.zip"+query, http.NoBody))
	archive, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err == nil {
		return w.Code, "", archive
	}
	return w.Code, w.Body.String(), nil
}

func read(t *testing.T, archive fs.FS, name string) string {
	t.Helper()
	text, err := fs.ReadFile(archive, name)
	require.NoError(t, err)
	return string(text)
}

func TestNothingIsRecordedUnlessAsked(t *testing.T) {
	r := &Ring{}
	loops(r, nil, 1)
	code, body, _ := fetch(t, r, "")
	assert.Truef(t, code == http.StatusNotFound && strings.Contains(body, "--asg-record-loops"), "a recording is answered with %d: %s", code, body)
}

func TestRingHoldsTheLastLoops(t *testing.T) {
	r, factory := &Ring{Most: 2}, caches(t, pod("a"))
	loops(r, factory, 1, 2, 3)
	code, body, _ := fetch(t, r, "?loop=1")
	assert.Truef(t, code == http.StatusNotFound && strings.HasSuffix(body, "There are: 2 3\n"), "loop 1 is answered with %d: %s", code, body)
	for query, want := range map[string]int64{"?loop=2": 2, "": 3} {
		code, _, archive := fetch(t, r, query)
		var report decision.Report
		if err := json.Unmarshal([]byte(read(t, archive, ReportFile)), &report); err != nil || code != http.StatusOK || report.Loop.Number != want {
			t.Errorf("%q is answered with %d and loop %d, want %d: %v", query, code, report.Loop.Number, want, err)
		}
	}
}

// Objects that the caches have replaced are what the ring costs.
func TestRingIsBoundedInBytes(t *testing.T) {
	large := func(name string) *corev1.Pod {
		p := pod(name)
		p.Spec.SchedulerName = strings.Repeat("x", mostBytes*2/5)
		return p
	}
	r, factory := &Ring{Most: 10}, caches(t, large("a"))
	loops(r, factory, 1, 2)
	for _, number := range []int64{3, 4, 5} {
		require.NoError(t, factory.Core().V1().Pods().Informer().GetStore().Update(large("a")))
		loops(r, factory, number)
	}
	_, body, _ := fetch(t, r, "?loop=0")
	assert.Truef(t, strings.HasSuffix(body, "There are: 3 4 5\n"), "three pods of two fifths of the bound each: %s", body)
}

func TestRecordingHasNoSecrets(t *testing.T) {
	r, factory := &Ring{Most: 1}, caches(t, pod("a"))
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	options := map[string]string{"password": "secret"}
	for name, source := range map[string]corev1.PersistentVolumeSource{
		"csi":  {CSI: &corev1.CSIPersistentVolumeSource{Driver: "smb.csi.k8s.io", VolumeHandle: "share", VolumeAttributes: options}},
		"flex": {FlexVolume: &corev1.FlexPersistentVolumeSource{Driver: "example.com/smb", Options: options}},
	} {
		require.NoError(t, volumes.GetStore().Add(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: source, MountOptions: []string{"password=secret"}}}))
	}
	data := base64.StdEncoding.EncodeToString([]byte("[settings.kubernetes]\nbootstrap-token = \"secret\"\n[settings.kubernetes.node-labels]\nteam = \"web\"\n"))
	answer(t, r, &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: []ec2types.LaunchTemplateVersion{
		{LaunchTemplateId: awssdk.String("lt-1"), VersionNumber: awssdk.Int64(1), LaunchTemplateData: &ec2types.ResponseLaunchTemplateData{UserData: &data}}, {}}})
	answer(t, r, &autoscaling.DescribeLaunchConfigurationsOutput{LaunchConfigurations: []astypes.LaunchConfiguration{{LaunchConfigurationName: awssdk.String("c"), UserData: &data}}})
	loops(r, factory, 1)
	_, _, archive := fetch(t, r, "")
	for _, file := range archive.File {
		text := read(t, archive, file.Name)
		assert.Falsef(t, strings.Contains(text, "secret") || strings.Contains(text, data), "%s has a secret:\n%s", file.Name, text)
	}
	for file, wants := range map[string][]string{
		"kubernetes/api/v1/pods":              {"karpenter.sh/do-not-disrupt", "safe-to-evict", `"env":"prod"`, `"args":"none"`, "Unschedulable"},
		"kubernetes/api/v1/persistentvolumes": {`{"driver":"smb.csi.k8s.io","volumeHandle":"share"}`, `{"driver":"example.com/smb"}`},
		"kubernetes/apis/apps/v1/daemonsets":  {`"env":[{"name":"CLUSTER_NAME","value":"shop"}]`},
		"launch-template-versions.json":       {base64.StdEncoding.EncodeToString([]byte("[settings.kubernetes]\nbootstrap-token = \"***\"\n[settings.kubernetes.node-labels]\nteam = \"web\"\n"))},
	} {
		for _, want := range wants {
			assert.Containsf(t, read(t, archive, file), want, "%s lacks %s", file, want)
		}
	}
}

// The loop counts with launches that AWS has yet to show, and with no group that is gone. It answers pods with the groups of
// other clusters.
func TestRecordingHasTheLatestAnswers(t *testing.T) {
	r, factory := &Ring{Most: 1}, caches(t)
	for _, desired := range []int32{1, 2} {
		answer(t, r, &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []astypes.AutoScalingGroup{
			{AutoScalingGroupName: awssdk.String("web"), DesiredCapacity: awssdk.Int32(desired), MaxSize: awssdk.Int32(desired + 4)},
			{AutoScalingGroupName: awssdk.String("theirs"), MaxSize: awssdk.Int32(desired + 4)},
			{AutoScalingGroupName: awssdk.String("left")}, {AutoScalingGroupName: awssdk.String("gone")}}})
		var versions []ec2types.LaunchTemplateVersion
		for _, id := range []string{"lt-1", "lt-10"} {
			versions = append(versions, ec2types.LaunchTemplateVersion{LaunchTemplateId: &id, VersionNumber: awssdk.Int64(int64(desired)),
				DefaultVersion: awssdk.Bool(true)})
		}
		answer(t, r, &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: versions[:3-desired]}) // the default of one moves
	}
	answer(t, r, &eks.DescribeNodegroupOutput{Nodegroup: &ekstypes.Nodegroup{ClusterName: awssdk.String("shop"), NodegroupName: awssdk.String("ng")}})
	answer(t, r, &ec2.DescribeInstancesOutput{})
	answer(t, r, &ec2.GetInstanceTypesFromInstanceRequirementsOutput{
		InstanceTypes: []ec2types.InstanceTypeInfoFromInstanceRequirements{{InstanceType: awssdk.String("m5.large")}}})
	loops(r, factory, 1)
	answer(t, r, &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []astypes.AutoScalingGroup{{AutoScalingGroupName: awssdk.String("web")}}})
	_, _, archive := fetch(t, r, "")
	var groups []astypes.AutoScalingGroup
	require.NoError(t, json.Unmarshal([]byte(read(t, archive, "auto-scaling-groups.json")), &groups))
	have := map[string]bool{}
	for _, g := range groups {
		have[*g.AutoScalingGroupName] = awssdk.ToInt32(g.DesiredCapacity) == 3 && awssdk.ToInt32(g.MaxSize) == 6
	}
	assert.Equalf(t, map[string]bool{"web": true, "theirs": true}, have, "the groups are %+v", groups)
	var templates []ec2types.LaunchTemplateVersion
	require.NoError(t, json.Unmarshal([]byte(read(t, archive, "launch-template-versions.json")), &templates))
	defaults := map[string]bool{}
	for _, v := range templates {
		defaults[fmt.Sprint(*v.LaunchTemplateId, " ", *v.VersionNumber)] = *v.DefaultVersion
	}
	assert.Equal(t, map[string]bool{"lt-1 1": false, "lt-1 2": true, "lt-10 1": true}, defaults, "versions that are the default")
	assert.Contains(t, read(t, archive, "nodegroups.json"), `"NodegroupName":"ng"`)
	assert.Contains(t, read(t, archive, "instance-types-of-requirements.json"), `"InstanceTypes":[{"InstanceType":"m5.large"}],"NextToken":null,"Request":"null"`)
}

func TestAnswersOfAWSAreBoundedInBytes(t *testing.T) {
	r, factory := &Ring{Most: 1}, caches(t)
	large := strings.Repeat("x", mostAnswers*2/5)
	for _, id := range []string{"ami-1", "ami-2", "ami-3", "ami-4"} {
		answer(t, r, &ec2.DescribeImagesOutput{Images: []ec2types.Image{{ImageId: &id, Description: &large}}})
	}
	loops(r, factory, 1)
	_, _, archive := fetch(t, r, "")
	if text := read(t, archive, "images.json"); strings.Count(text, "ami-") != 3 || !strings.Contains(text, "ami-4") {
		t.Errorf("there are %d images, want the last one and two others", strings.Count(text, "ami-"))
	}
}

func TestRecordingAnswersAsTheAPIServer(t *testing.T) {
	r, factory := &Ring{Most: 1}, caches(t, pod("a"))
	loops(r, factory, 1)
	_, _, archive := fetch(t, r, "")
	client, err := kubernetes.NewForConfig(Recording{Files: archive, Later: 24 * time.Hour}.Kube())
	require.NoError(t, err)
	read := informers.NewSharedInformerFactory(client, 0)
	pods := read.Core().V1().Pods()
	pods.Informer()
	read.Start(t.Context().Done())
	read.WaitForCacheSync(t.Context().Done())
	got, err := pods.Lister().Pods("default").Get("a")
	require.NoError(t, err)
	want := pod("a")
	want.CreationTimestamp = metav1.NewTime(began.Add(24*time.Hour - time.Minute).Local())
	delete(want.Annotations, corev1.LastAppliedConfigAnnotation)
	delete(want.Annotations, "example.com/token")
	assert.Empty(t, cmp.Diff(want, got), "the pod (-want +got)")
	_, err = client.StorageV1().StorageClasses().List(t.Context(), metav1.ListOptions{})
	assert.Truef(t, apierrors.IsNotFound(err), "a kind that was not recorded: %v", err)
}

// named is a node group of which an expander sees the name and the size alone.
type named struct {
	cloudprovider.NodeGroup
	id string
}

func (n named) Id() string { return n.id }

func (named) TargetSize() (int, error) { return 0, nil }

// A replay chooses by the priorities of the recorded loop. Without them the first group by name would win.
func TestReplayHasThePriorities(t *testing.T) {
	priorities := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cluster-autoscaler-priority-expander"},
		Data: map[string]string{"priorities": "{50: [^dear$], 10: [.*]}"}}
	chain := func(config *rest.Config) *expander.Chain {
		client, err := kubernetes.NewForConfig(config)
		require.NoError(t, err)
		return expander.New([]string{"priority"}, expander.Config{KubeClient: client, Namespace: "kube-system", GroupName: func(id string) string { return id },
			Clients: &cacontext.AutoscalingKubeClients{Recorder: &record.FakeRecorder{}}})
	}
	chosen := func(c *expander.Chain) string {
		return c.BestOption([]coreexpander.Option{{NodeGroup: named{id: "cheap"}, NodeCount: 1}, {NodeGroup: named{id: "dear"}, NodeCount: 1}}, nil).NodeGroup.Id()
	}
	r := &Ring{Most: 1}
	recordedAs := func(priorities *corev1.ConfigMap) *expander.Chain {
		end := r.Begin(caches(t), priorities, group.NewSnapshot(nil, nil, began))
		end(func() *decision.Report { return &decision.Report{} })
		r.Reports.Wait()
		_, _, archive := fetch(t, r, "")
		return chain(Recording{Files: archive, Later: time.Hour}.Kube())
	}
	replayed := recordedAs(priorities)
	assert.Eventually(t, func() bool { return replayed.Priorities() != nil }, time.Minute, time.Millisecond, "the replay has no priorities")
	assert.Equal(t, "dear", chosen(replayed), "chosen with priorities")
	assert.Equal(t, "cheap", chosen(recordedAs(nil)), "chosen without")
}

func TestTimesMove(t *testing.T) {
	r := Recording{Later: time.Hour}
	for was, want := range map[string]string{
		`{"at":"2026-11-25T10:00:00Z"}`:            `{"at":"2026-11-25T11:00:00.000000Z"}`,
		`{"at":"2026-11-25T23:30:00.000001Z"}`:     `{"at":"2026-11-26T00:30:00.000001Z"}`,
		`{"at":"2026-11-25T10:00:00+02:00"}`:       `{"at":"2026-11-25T11:00:00.000000+02:00"}`,
		`{"at":"0001-01-01T00:00:00Z"}`:            `{"at":"0001-01-01T00:00:00Z"}`,
		`{"at":"2026-13-25T10:00:00Z"}`:            `{"at":"2026-13-25T10:00:00Z"}`,
		`{"name":"at 2026-11-25T10:00:00Z or so"}`: `{"name":"at 2026-11-25T10:00:00Z or so"}`,
	} {
		assert.Equalf(t, want, string(moment.ReplaceAllFunc([]byte(was), r.moved)), "%s becomes", was)
	}
}

func TestBrokenConnectionEndsTheSending(t *testing.T) {
	r, factory := &Ring{Most: 1}, caches(t, pod("a"))
	loops(r, factory, 1)
	reader, broken := io.Pipe()
	require.NoError(t, reader.Close())
	assert.Error(t, r.loops[0].write(broken), "no error")
}

// slow is a reader at the other end of a pipe.
type slow struct {
	http.ResponseWriter
	to io.Writer
}

func (s slow) Write(p []byte) (int, error) { return s.to.Write(p) }

func TestReadersOfRecordingsWaitForTheirTurn(t *testing.T) {
	r, factory := &Ring{Most: 1}, caches(t, pod("a"))
	loops(r, factory, 1)
	synctest.Test(t, func(t *testing.T) {
		serve := func(ctx context.Context, w http.ResponseWriter) (ended chan struct{}) {
			ended = make(chan struct{})
			go func() {
				defer close(ended)
				r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/status/loop.zip", http.NoBody).WithContext(ctx))
			}()
			synctest.Wait()
			return ended
		}
		reader, to := io.Pipe()
		first := serve(t.Context(), slow{httptest.NewRecorder(), to})
		leaving, leave := context.WithCancel(t.Context())
		impatient, patient := httptest.NewRecorder(), httptest.NewRecorder()
		second := serve(leaving, impatient)
		third := serve(t.Context(), patient)
		assert.Zero(t, patient.Body.Len(), "bytes for a reader beside a slow one")
		leave()
		<-second // which ends beside the slow reader
		assert.Zero(t, impatient.Body.Len(), "bytes for a reader that has gone")
		require.NoError(t, reader.Close())
		<-first
		<-third
		assert.Equal(t, http.StatusOK, patient.Code, "code once the slow reader has gone")
		_, err := zip.NewReader(bytes.NewReader(patient.Body.Bytes()), int64(patient.Body.Len()))
		assert.NoError(t, err, "recording once the slow reader has gone")
	})
}

func TestFirstLoopThatDecidesCounts(t *testing.T) {
	pod := func(uid string, state decision.PodState, search int) decision.Pod {
		return decision.Pod{UID: uid, State: state, Search: search}
	}
	search := func(group string) decision.Search { return decision.Search{Answers: []decision.Answer{{Group: group}}} }
	first := &decision.Report{Groups: []decision.Group{{Name: "a", Desired: 1}}, Searches: []decision.Search{search("a")},
		Pods: []decision.Pod{pod("launches", decision.PodLaunching, 0), pod("left", decision.PodDelayed, -1), pod("twin", decision.PodDelayed, -1), pod("gone", decision.PodDelayed, -1)}}
	second := &decision.Report{Groups: []decision.Group{{Name: "a", Desired: 2}}, Loop: decision.Loop{Number: 2}, Searches: []decision.Search{search("x"), search("b")},
		Pods: []decision.Pod{pod("launches", decision.PodFits, -1), pod("left", decision.PodHelpless, 1), pod("twin", decision.PodHelpless, 1)}}
	want := &decision.Report{Groups: first.Groups, Loop: second.Loop, Searches: []decision.Search{search("a"), search("x"), search("b")},
		Pods: []decision.Pod{pod("launches", decision.PodLaunching, 0), pod("left", decision.PodHelpless, 2), pod("twin", decision.PodHelpless, 2), pod("gone", decision.PodDelayed, -1)}}
	assert.Empty(t, cmp.Diff(want, Join(Join(nil, first), second)), "two loops (-want +got)")
	assert.True(t, len(first.Searches) == 1 && first.Pods[1].State == decision.PodDelayed, "the first loop's report was changed")
}
