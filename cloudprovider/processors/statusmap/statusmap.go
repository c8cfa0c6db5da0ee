package statusmap

import (
	"context"
	"sync"
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/kubernetes"
)

// Writer writes the status after each loop. It wraps the core's AutoscalingStatusProcessor, which the core's loop calls. Run does the
// writes. The core itself must write no status (AutoscalingOptions.WriteStatusConfigMap).
type Writer struct {
	corestatus.AutoscalingStatusProcessor // the wrapped one

	client          kubernetes.Interface
	namespace, name string
	wake            chan struct{}
	writing         chan struct{} // has an element during a write or the deletion

	mu     sync.Mutex
	unsent *status // the newest, nil if it is written
	ended  bool    // the ConfigMap is deleted for good
}

// A status is what the core knows at the end of a loop.
type status struct {
	at    time.Time
	facts *api.ClusterAutoscalerStatus
}

// New makes a Writer of the ConfigMap with this name, which wraps nothing yet.
func New(client kubernetes.Interface, namespace, name string) *Writer {
	return &Writer{client: client, namespace: namespace, name: name,
		wake: make(chan struct{}, 1), writing: make(chan struct{}, 1)}
}

// Process takes the status of a loop, and returns at once.
func (w *Writer) Process(ctx *cacontext.AutoscalingContext, state *clusterstate.ClusterStateRegistry, at time.Time) error {
	w.take(status{at, state.GetStatus(at)})
	return w.AutoscalingStatusProcessor.Process(ctx, state, at)
}

func (w *Writer) take(newest status) {
	w.mu.Lock()
	w.unsent = &newest
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run writes the newest status after each loop, until ctx ends. The core logs why a write fails. The next loop tries again.
func (w *Writer) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
			w.write()
		}
	}
}

// write sends the newest status, if it is not sent yet.
func (w *Writer) write() {
	w.writing <- struct{}{}
	defer func() { <-w.writing }()
	w.mu.Lock()
	newest := w.unsent
	w.unsent = nil
	if w.ended {
		newest = nil
	}
	w.mu.Unlock()
	if newest != nil {
		// without the core's recorder, which the loop may be using
		_, _ = utils.WriteStatusConfigMap(w.client, w.namespace, *newest.facts, nil, w.name, newest.at)
	}
}

// CleanUp deletes the ConfigMap, after the write under way. Later loops write nothing.
func (w *Writer) CleanUp() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.writing <- struct{}{}
	defer func() { <-w.writing }()
	_ = utils.DeleteStatusConfigMap(w.client, w.namespace, w.name) // the core logs the error
	w.AutoscalingStatusProcessor.CleanUp()
}
