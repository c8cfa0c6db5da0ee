package status

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
)

const (
	namespace = "kube-system"
	name      = "cluster-autoscaler-status"
	slow      = 5 * time.Second // of each write
)

// world is an API server that takes long for writes, and a Writer that writes to it.
type world struct {
	t      *testing.T
	server *fake.Clientset
	writer *Writer
	writes int
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
		if _, err := utils.WriteStatusConfigMap(w.server, namespace, *utils.EmptyClusterAutoscalerStatus(), nil, name, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.writer, w.writes = NewWriter(corestatus.NewDefaultAutoscalingStatusProcessor(), w.server, namespace, name), 0
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.writer.Run(ctx) }()
		test(w)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// loop ends a loop of the core.
func (w *world) loop(message string) {
	w.t.Helper()
	start := time.Now()
	w.writer.take(loopStatus{start, &api.ClusterAutoscalerStatus{AutoscalerStatus: api.ClusterAutoscalerRunning, Message: message}})
	if took := time.Since(start); took > 0 {
		w.t.Errorf("the loop waited %v for its status", took)
	}
}

// written is the ConfigMap in the API server, nil if there is none.
func (w *world) written() *corev1.ConfigMap {
	w.t.Helper()
	m, err := w.server.CoreV1().ConfigMaps(namespace).Get(w.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
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
		time.Sleep(2*slow + time.Millisecond)
		w.wantWritten("three")
		if w.writes != 2 {
			t.Errorf("%d writes, want the first and the newest", w.writes)
		}
	})
}

func TestOthersKeepTheirPart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.loop("one")
		time.Sleep(2 * slow)
		labelled := w.written()
		labelled.Labels = map[string]string{"team": "a"}
		labelled.Data["notes"] = "by somebody"
		if _, err := w.server.CoreV1().ConfigMaps(namespace).Update(t.Context(), labelled, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.loop("two")
		time.Sleep(2 * slow)
		w.wantWritten("two")
		if w.written().Labels["team"] != "a" {
			t.Error("the label of somebody else is gone")
		}
		if w.written().Data["notes"] != "by somebody" {
			t.Error("the data of somebody else is gone")
		}
	})
}

func TestRemovedStatusComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.loop("one")
		time.Sleep(2 * slow)
		if err := w.server.CoreV1().ConfigMaps(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.loop("two")
		time.Sleep(2 * slow)
		w.wantWritten("two")
	})
}

func TestDeletionComesLast(t *testing.T) {
	inWorld(t, func(w *world) {
		w.loop("one")
		synctest.Wait()
		w.loop("two")
		w.writer.CleanUp()
		w.loop("three")
		time.Sleep(2 * slow)
		if m := w.written(); m != nil {
			t.Errorf("the status is %+v after its deletion", m)
		}
	})
}

// The text is the core's, whatever the number of groups and whatever changes from loop to loop.
func TestContentIsTheCores(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for _, groups := range []int{0, 1, 7} {
		t.Run(fmt.Sprint(groups), func(t *testing.T) {
			facts := manyGroups(groups, at)
			w := NewWriter(nil, fake.NewClientset(), namespace, name)
			w.wantTheCores(t, facts, at)
			later := at.Add(10 * time.Second)
			w.wantTheCores(t, manyGroups(groups, later), later)
			for _, change := range changes {
				changed := manyGroups(groups, later)
				if groups > 0 {
					change(&changed.NodeGroups[groups-1])
				}
				w.wantTheCores(t, changed, later)
			}
			w.wantTheCores(t, manyGroups(groups/2, later), later)
			w.wantTheCores(t, facts, at)
		})
	}
}

var changes = map[string]func(*api.NodeGroupStatus){
	"size":                      func(g *api.NodeGroupStatus) { g.Health.CloudProviderTarget++ },
	"looked at at another time": func(g *api.NodeGroupStatus) { g.ScaleDown.LastProbeTime = metav1.Time{Time: time.Unix(7, 0)} },
	"never looked at":           func(g *api.NodeGroupStatus) { g.ScaleUp.LastProbeTime = metav1.Time{} },
	"looked at in another place": func(g *api.NodeGroupStatus) {
		g.Health.LastProbeTime.Time = g.Health.LastProbeTime.In(time.FixedZone("CST", 8*60*60))
	},
}

// manyGroups is the status of healthy groups that the core looked at now.
func manyGroups(groups int, now time.Time) *api.ClusterAutoscalerStatus {
	facts := &api.ClusterAutoscalerStatus{AutoscalerStatus: api.ClusterAutoscalerRunning, Message: "a: b\n- c"}
	facts.ClusterWide.Health.NodeCounts.Registered.Total = groups
	for n := range groups {
		g := api.NodeGroupStatus{Name: fmt.Sprint("group: ", n)}
		g.Health.Status, g.Health.MaxSize = api.ClusterAutoscalerHealthy, n
		g.ScaleUp.BackoffInfo = api.BackoffInfo{ErrorCode: "VcpuLimitExceeded", ErrorMessage: "line one\nline two: \"x\""}
		for _, t := range []*metav1.Time{&g.Health.LastProbeTime, &g.ScaleUp.LastProbeTime, &g.ScaleDown.LastProbeTime} {
			t.Time = now
		}
		facts.NodeGroups = append(facts.NodeGroups, g)
	}
	return facts
}

func (w *Writer) wantTheCores(t *testing.T, facts *api.ClusterAutoscalerStatus, at time.Time) {
	t.Helper()
	w.take(loopStatus{at, facts})
	if err := w.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := w.client.CoreV1().ConfigMaps(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := utils.WriteStatusConfigMap(fake.NewClientset(), namespace, *facts, nil, name, at)
	if err != nil {
		t.Fatal(err)
	}
	want.ManagedFields, got.ManagedFields = nil, nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the ConfigMap differs from the core's (-core +ours):\n%s", diff)
	}
}

// One status of a thousand groups, of which none has changed but for the times.
func BenchmarkText(b *testing.B) {
	w, now := NewWriter(nil, fake.NewClientset(), namespace, name), time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	for b.Loop() {
		now = now.Add(10 * time.Second)
		if _, err := w.text(*manyGroups(1000, now), "now"); err != nil {
			b.Fatal(err)
		}
	}
}
