package status

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/yaml"
)

const (
	namespace = "kube-system"
	name      = "cluster-autoscaler-status"
	slow      = 5 * time.Second // of each write
)

// world is an API server that takes long for writes and knows versions, a Writer that writes to it, and what publishes the core's events.
type world struct {
	record.EventRecorder
	t      *testing.T
	server *fake.Clientset
	writer *Writer
	writes int
	reads  int                     // the test's own, too
	log    *utils.LogEventRecorder // the core's
	about  []types.UID             // of its events
}

func inWorld(t *testing.T, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, server: fake.NewClientset()}
		for _, verb := range []string{"create", "update"} {
			w.server.PrependReactor(verb, "configmaps", func(kubetesting.Action) (bool, runtime.Object, error) {
				time.Sleep(slow)
				w.writes++
				return false, nil, nil
			})
		}
		w.server.PrependReactor("update", "configmaps", func(action kubetesting.Action) (bool, runtime.Object, error) {
			m := action.(kubetesting.UpdateAction).GetObject().(*corev1.ConfigMap)
			now, err := w.server.Tracker().Get(corev1.SchemeGroupVersion.WithResource("configmaps"), namespace, name)
			if err == nil && m.ResourceVersion != now.(*corev1.ConfigMap).ResourceVersion {
				return true, nil, apierrors.NewConflict(corev1.Resource("configmaps"), name, errors.New("an old version"))
			}
			m.ResourceVersion += "+"
			return false, nil, nil
		})
		w.server.PrependReactor("get", "configmaps", func(kubetesting.Action) (bool, runtime.Object, error) {
			w.reads++
			return false, nil, nil
		})
		w.server.PrependReactor("create", "configmaps", func(action kubetesting.Action) (bool, runtime.Object, error) {
			action.(kubetesting.CreateAction).GetObject().(*corev1.ConfigMap).ResourceVersion = "1"
			action.(kubetesting.CreateAction).GetObject().(*corev1.ConfigMap).UID = types.UID(fmt.Sprint("made-", time.Now().Unix()))
			return false, nil, nil
		})
		events := &Events{EventRecorder: w}
		log, err := utils.NewStatusMapRecorder(w.server, namespace, events, true, name)
		require.NoError(t, err)
		w.writer, w.writes, w.log = NewWriter(corestatus.NewDefaultAutoscalingStatusProcessor(), w.server, namespace, name, events), 0, log
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.writer.Run(ctx) }()
		test(w)
		cancel()
		assert.NoError(t, <-ended)
	})
}

func (w *world) Event(about runtime.Object, _, _, _ string) {
	w.about = append(w.about, about.(*corev1.ConfigMap).UID)
}

// loop ends a loop of the core.
func (w *world) loop(message string) {
	w.t.Helper()
	start := time.Now()
	w.writer.take(loopStatus{start, &api.ClusterAutoscalerStatus{AutoscalerStatus: api.ClusterAutoscalerRunning, Message: message}})
	took := time.Since(start)
	assert.Truef(w.t, took <= 0, "the loop waited %v for its status", took)
}

// afterWrites returns after the writes of a loop, which are two at most.
func (w *world) afterWrites() {
	time.Sleep(2 * slow)
	synctest.Wait() // for what ends at this very moment
}

// written is the ConfigMap in the API server, nil if there is none.
func (w *world) written() *corev1.ConfigMap {
	w.t.Helper()
	m, err := w.server.CoreV1().ConfigMaps(namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(w.t, err)
	return m
}

func (w *world) wantWritten(message string) {
	w.t.Helper()
	m := w.written()
	if m == nil || !strings.Contains(m.Data["status"], message) || m.Annotations[utils.ConfigMapLastUpdatedKey] == "" {
		w.t.Errorf("the status is %+v, want %q in it", m, message)
	}
}

func TestLoopsWaitForNoWrite(t *testing.T) {
	inWorld(t, func(w *world) {
		w.loop("one")
		synctest.Wait()
		w.loop("two") // while the first is being written
		w.loop("three")
		w.afterWrites()
		w.wantWritten("three")
		assert.Equal(t, 2, w.writes, "writes, want the first and the newest")
		reads := w.reads
		w.loop("four")
		w.afterWrites()
		assert.Equal(t, reads, w.reads, "the Writer read what it had written")
		w.wantWritten("four")
	})
}

func TestOthersKeepTheirPart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.loop("one")
		w.afterWrites()
		labelled := w.written()
		labelled.Labels = map[string]string{"team": "a"}
		labelled.Data["notes"] = "by somebody"
		_, err := w.server.CoreV1().ConfigMaps(namespace).Update(t.Context(), labelled, metav1.UpdateOptions{})
		require.NoError(t, err)
		w.loop("two")
		w.afterWrites()
		w.wantWritten("two")
		assert.Equal(t, "a", w.written().Labels["team"], "the label of somebody else is gone")
		assert.Equal(t, "by somebody", w.written().Data["notes"], "the data of somebody else is gone")
	})
}

func TestRemovedStatusComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.loop("one")
		w.afterWrites()
		first := w.written().UID
		w.log.Event(corev1.EventTypeNormal, "ScaledUpGroup", "")
		require.NoError(t, w.server.CoreV1().ConfigMaps(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
		w.loop("two")
		w.afterWrites()
		w.wantWritten("two")
		w.log.Event(corev1.EventTypeNormal, "ScaledUpGroup", "")
		assert.NotEqual(t, first, w.written().UID)
		assert.Equal(t, []types.UID{first, w.written().UID}, w.about, "the ConfigMaps that events are about")
	})
}

func TestDeletionComesLast(t *testing.T) {
	inWorld(t, func(w *world) {
		w.loop("one")
		synctest.Wait()
		w.loop("two")
		w.writer.CleanUp()
		w.loop("three")
		w.afterWrites()
		m := w.written()
		assert.Truef(t, m == nil, "the status is %+v after its deletion", m)
	})
}

func TestTextIsTheCores(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
	for _, count := range []int{0, 1, groupsAtOnce, 3*groupsAtOnce + 1} {
		status := api.ClusterAutoscalerStatus{Time: at.String(), AutoscalerStatus: api.ClusterAutoscalerRunning, Message: "two\ntime: lines"}
		for n := range count {
			status.NodeGroups = append(status.NodeGroups, api.NodeGroupStatus{Name: fmt.Sprintf("time: %d", n),
				Health:  api.NodeGroupHealthCondition{Status: api.ClusterAutoscalerHealthy, MaxSize: n, LastProbeTime: at},
				ScaleUp: api.NodeGroupScaleUpCondition{BackoffInfo: api.BackoffInfo{ErrorMessage: "no\n\ntime: capacity"}}})
		}
		core, err := yaml.Marshal(status)
		require.NoError(t, err)
		text, err := encode(status, mostText)
		require.NoError(t, err)
		assert.Equal(t, string(core), text, "%d groups", count)
	}
}

// The text is encoded anew only if more has changed than the times of the core's looks, which are several in a loop.
func TestTextFollowsTheStatus(t *testing.T) {
	at := func(second int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 7, 1, 12, 0, second, 5, time.FixedZone("", 3600)))
	}
	f, changed := form{}, 0
	for n, change := range []func(*api.ClusterAutoscalerStatus){
		func(s *api.ClusterAutoscalerStatus) {},
		func(s *api.ClusterAutoscalerStatus) {},
		func(s *api.ClusterAutoscalerStatus) {},
		func(s *api.ClusterAutoscalerStatus) { s.NodeGroups[1].Health.LastTransitionTime = at(3) },
		func(s *api.ClusterAutoscalerStatus) { s.NodeGroups[1].ScaleDown.LastProbeTime = metav1.Time{} },
		func(s *api.ClusterAutoscalerStatus) { s.NodeGroups[0].Health.LastProbeTime = at(44) },
		func(s *api.ClusterAutoscalerStatus) { s.NodeGroups = s.NodeGroups[:1] },
		func(s *api.ClusterAutoscalerStatus) { s.Message = "now\n" },
		func(s *api.ClusterAutoscalerStatus) { s.NodeGroups = nil },
	} {
		look, before := at(n), at(n-7)
		status := api.ClusterAutoscalerStatus{AutoscalerStatus: api.ClusterAutoscalerRunning, NodeGroups: make([]api.NodeGroupStatus, 2)}
		status.ClusterWide.Health.LastProbeTime, status.ClusterWide.ScaleDown.LastProbeTime = look, before
		for g := range status.NodeGroups {
			group := &status.NodeGroups[g]
			group.Health.LastProbeTime, group.ScaleUp.LastProbeTime, group.ScaleDown.LastProbeTime = look, look, before
		}
		change(&status)
		was := f.encoded
		text, err := f.text(status, look.Format(utils.ConfigMapLastUpdateFormat))
		require.NoError(t, err)
		if f.encoded != was {
			changed++
		}
		status.Time = look.Format(utils.ConfigMapLastUpdateFormat)
		core, err := yaml.Marshal(status)
		require.NoError(t, err)
		assert.Equal(t, string(core), text, "status %d", n)
	}
	assert.Equal(t, 7, changed, "texts that were encoded")
}

// BenchmarkTextAtRest measures the text of a loop in which nothing has changed.
func BenchmarkTextAtRest(b *testing.B) {
	for _, count := range []int{10, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			var f form
			status := api.ClusterAutoscalerStatus{NodeGroups: make([]api.NodeGroupStatus, count)}
			b.ReportAllocs()
			for b.Loop() {
				look := metav1.Now()
				for g := range status.NodeGroups {
					group := &status.NodeGroups[g]
					group.Health.LastProbeTime, group.ScaleUp.LastProbeTime, group.ScaleDown.LastProbeTime = look, look, look
				}
				if _, err := f.text(status, "now"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestStatusOfManyGroupsFitsIntoAConfigMap(t *testing.T) {
	status := api.ClusterAutoscalerStatus{Time: "now", NodeGroups: make([]api.NodeGroupStatus, 100)}
	whole, err := encode(status, mostText)
	require.NoError(t, err)
	half, err := encode(status, len(whole)/2)
	require.NoError(t, err)
	var read api.ClusterAutoscalerStatus
	require.NoError(t, yaml.UnmarshalStrict([]byte(half), &read))
	assert.Len(t, read.NodeGroups, 40)
	assert.Equal(t, "now", read.Time)
	assert.Equal(t, "60 of 100 node groups are left out, because a ConfigMap holds no more; asgctl groups lists all", read.Message)
}
