package status

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
	core            corestatus.AutoscalingStatusProcessor
	client          kubernetes.Interface
	namespace, name string
	wake            chan struct{}
	writing         chan struct{} // has an element during a write or the deletion

	mu     sync.Mutex
	unsent *loopStatus // the newest, nil if it is written
	ended  bool        // the ConfigMap is deleted for good
}

// A loopStatus is what the core knows at the end of a loop.
type loopStatus struct {
	at    time.Time
	facts *api.ClusterAutoscalerStatus
}

// NewWriter makes a Writer of the ConfigMap with this name.
func NewWriter(core corestatus.AutoscalingStatusProcessor, client kubernetes.Interface, namespace, name string) *Writer {
	return &Writer{core: core, client: client, namespace: namespace, name: name,
		wake: make(chan struct{}, 1), writing: make(chan struct{}, 1)}
}

// Process takes the status of a loop, and returns at once.
func (w *Writer) Process(ctx *cacontext.AutoscalingContext, state *clusterstate.ClusterStateRegistry, at time.Time) error {
	w.take(loopStatus{at, state.GetStatus(at)})
	return w.core.Process(ctx, state, at)
}

func (w *Writer) take(newest loopStatus) {
	w.mu.Lock()
	w.unsent = &newest
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// writeEvery is the least time between two writes, because the text of a thousand groups takes a tenth of a second.
const writeEvery = 5 * time.Second

// Run writes the newest status after each loop, until ctx ends. After an error the next loop tries again.
func (w *Writer) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		next := time.After(writeEvery)
		w.write()
		select {
		case <-ctx.Done():
			return nil
		case <-next:
		}
	}
}

// write sends the newest status, if it is not sent yet. The core logs errors.
func (w *Writer) write() {
	w.writing <- struct{}{}
	defer func() { <-w.writing }()
	w.mu.Lock()
	newest, ended := w.unsent, w.ended
	w.unsent = nil
	w.mu.Unlock()
	if newest != nil && !ended {
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
	w.core.CleanUp()
}
