package nomination

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
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
			inWorld(t, true, nil, func(w *world) {
				pods := corev1.SchemeGroupVersion.WithResource("pods")
				change := sync.OnceFunc(func() {
					current, err := w.cluster.Tracker().Get(pods, "default", "a")
					if err != nil {
						t.Error(err)
						return
					}
					pod := current.(*corev1.Pod).DeepCopy()
					tt.change(pod)
					pod.ResourceVersion += "1"
					if err := w.cluster.Tracker().Update(pods, pod, "default"); err != nil {
						t.Error(err)
					}
				})
				written := false
				w.cluster.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
					change()
					written = true
					return false, nil, nil
				})
				w.Asked("small", [][]*corev1.Pod{{w.pod("a")}})
				w.node("node-1", "small", hasBooted)
				time.Sleep(time.Minute)
				synctest.Wait()
				if !written {
					t.Error("nothing was written")
				}
				w.wantNominated(tt.want)
			})
		})
	}
}
