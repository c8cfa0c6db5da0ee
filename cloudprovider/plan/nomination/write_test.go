package nomination

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stretchr/testify/assert"
)

// The pod changes just before the write, so this process has not read the change. Older API servers would nominate a bound pod, too.
func TestWriteLeavesChangedPodAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"bound":     {change: boundTo("node-2"), want: "a="},
		"nominated": {change: func(p *corev1.Pod) { p.Status.NominatedNodeName = "node-2" }, want: "a=node-2"},
		"made anew": {change: func(p *corev1.Pod) { p.UID = "next" }, want: "a="},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				pods := corev1.SchemeGroupVersion.WithResource("pods")
				change := sync.OnceFunc(func() {
					current, err := w.cluster.Tracker().Get(pods, "default", "a")
					assert.NoError(t, err)
					pod := current.(*corev1.Pod).DeepCopy()
					tt.change(pod)
					pod.ResourceVersion += "1"
					assert.NoError(t, w.cluster.Tracker().Update(pods, pod, "default"))
				})
				written := false
				w.patch = func(write func() (*corev1.Pod, error)) (*corev1.Pod, error) {
					change()
					written = true
					return write()
				}
				w.asked("small", []*corev1.Pod{w.pod("a")})
				w.node("node-1", "small", hasBooted)
				w.pass(time.Minute)
				assert.True(t, written, "nothing was written")
				w.wantNominated(tt.want)
			})
		})
	}
}

// No answer of the API server comes back. The informer shows which writes it has done.
func TestLostAnswersStallNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		done    int  // writes that the API server does
		binds   bool // kube-scheduler binds the pod
		writes  int
		result  string
		planned bool // the pod still is
	}{
		"the pod gets its node":       {done: 1, binds: true, writes: 1, result: "kept"},
		"the node does not take it":   {done: 2, writes: 2, result: "withdrawn"},
		"the API server does nothing": {writes: 1 + mostFailures, result: "failed", planned: true},
		"it removes no nomination":    {done: 1, writes: 1 + mostFailures, result: "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				writes := 0
				w.patch = func(write func() (*corev1.Pod, error)) (*corev1.Pod, error) {
					writes++
					if writes <= tt.done {
						_, err := write()
						assert.NoError(t, err)
					}
					return nil, apierrors.NewTimeoutError("the answer is lost", 0)
				}
				w.asked("small", []*corev1.Pod{w.pod("a")})
				w.node("node-1", "small", hasBooted)
				if tt.done > 0 {
					w.changeNode("node-1", isReady)
				}
				if tt.binds {
					w.changePod("a", boundTo("node-1"))
				}
				w.pass(time.Hour)
				assert.Equal(t, tt.writes, writes, "writes")
				w.wantResults(map[string]float64{tt.result: 1})
				assert.Equal(t, tt.planned, w.Plan.Has("a"), "the pod is still planned")
			})
		})
	}
}

// docs/nominations.md and docs/scale.md state the number.
func TestWritesAtOnceAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		under, most, all := 0, 0, 0
		w.patch = func(write func() (*corev1.Pod, error)) (*corev1.Pod, error) {
			mu.Lock()
			under, all = under+1, all+1
			most = max(most, under)
			mu.Unlock()
			time.Sleep(time.Second) // a slow API server
			defer mu.Unlock()
			mu.Lock()
			under--
			return write()
		}
		planned := make([]*corev1.Pod, 3*workers)
		for at := range planned {
			planned[at] = w.pod(fmt.Sprint("pod-", at))
		}
		w.asked("small", planned)
		w.node("node-1", "small", hasBooted)
		w.pass(10 * time.Second)
		assert.Truef(t, most == workers && all == len(planned), "%d writes, up to %d at once, want %d and %d", all, most, len(planned), workers)
	})
	for file, sentence := range map[string]string{"nominations.md": fmt.Sprintf(" %d at once ", workers), "scale.md": fmt.Sprintf(" %d at once,", workers)} {
		text, err := os.ReadFile("../../../docs/" + file)
		assert.Truef(t, err == nil && strings.Contains(string(text), sentence), "docs/%s does not say%q, error %v", file, sentence, err)
	}
}
