package interruption_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// BenchmarkHundredWarningsAtOnce measures how long a hundred nodes of three pods each take from their warnings' messages until
// the last one is cordoned, and until the last one is drained and its instance terminated. Pods take 50 ms to end. It leaves
// out the API server, which is client-go's own fake here.
//
//	go test -run '^$' -bench HundredWarnings -benchtime 3x ./cloudprovider/interruption
func BenchmarkHundredWarningsAtOnce(b *testing.B) {
	const nodes = 100
	var cordoned, first, drained time.Duration
	rounds := 0
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b, scalingGroup(0, nodes, nodes))
		ids := w.inService()
		for n, id := range ids {
			w.run(id, fmt.Sprint(n, "-a"), fmt.Sprint(n, "-b"), fmt.Sprint(n, "-c"))
		}
		stop := w.running()
		began := watchCordons(w)
		b.StartTimer()
		start := time.Now()
		for _, id := range ids {
			w.send(warning(id, start))
		}
		for n := range nodes {
			at := (<-began).Sub(start)
			if n == 0 {
				first += at
			}
			if n == nodes-1 {
				cordoned += at
			}
		}
		w.wait("all terminated", func() bool { return w.desired() == 0 })
		drained += time.Since(start)
		rounds++
		stop()
	}
	b.ReportMetric(first.Seconds()/float64(rounds), "s/first-cordon")
	b.ReportMetric(cordoned.Seconds()/float64(rounds), "s/last-cordon")
	b.ReportMetric(drained.Seconds()/float64(rounds), "s/last-handed-back")
}

// watchCordons receives the time of each node's cordon, once per node.
func watchCordons(w *world) <-chan time.Time {
	w.t.Helper()
	watcher, err := w.cluster.CoreV1().Nodes().Watch(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	cordons := make(chan time.Time, 1000)
	w.background(func(ctx context.Context) error {
		defer watcher.Stop()
		seen := map[string]bool{}
		for {
			select {
			case <-ctx.Done():
				return nil
			case event := <-watcher.ResultChan():
				node, ok := event.Object.(*corev1.Node)
				if ok && event.Type == watch.Modified && node.Spec.Unschedulable && !seen[node.Name] {
					seen[node.Name] = true
					cordons <- time.Now()
				}
			}
		}
	})
	return cordons
}
