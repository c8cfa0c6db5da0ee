package move

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"
)

// writeTime bounds one write. By default the API server waits ten seconds for a webhook that hangs.
const writeTime = 15 * time.Second

// Writer writes the Annotation and the Taint of nodes beside its caller, one after the other. The last state of a node wins. A write that fails
// is logged and forgotten: its caller sees that the node lacks it. Safe for concurrent use.
type Writer struct {
	Failed sync.Map        // nodes whose last write failed
	ctx    context.Context // no write begins after its end
	client kubernetes.Interface
	keeps  func(*corev1.Node) bool // a node that is not written any more, whose caller may have seen an older version of it

	mu   sync.Mutex
	due  map[string]*State // by node, guarded by mu
	busy bool              // guarded by mu
}

func NewWriter(ctx context.Context, client kubernetes.Interface, keeps func(*corev1.Node) bool) *Writer {
	return &Writer{ctx: ctx, client: client, keeps: keeps, due: map[string]*State{}}
}

// Write begins to write the state to the node, or to take annotation and taint off it if the state is nil.
func (w *Writer) Write(node string, s *State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due[node] = s
	if !w.busy {
		w.busy = true
		go w.work()
	}
}

func (w *Writer) work() {
	for {
		node, s, more := w.next()
		if !more {
			return
		}
		err := w.write(node, s)
		if w.Failed.Delete(node); err != nil && !errors.IsNotFound(err) {
			w.Failed.Store(node, true)
			klog.FromContext(w.ctx).Error(err, "Could not write the state of a move, it is decided again later", "node", node)
		}
	}
}

func (w *Writer) next() (node string, s *State, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for node, s = range w.due {
		delete(w.due, node)
		return node, s, w.ctx.Err() == nil
	}
	w.busy = false
	return "", nil, false
}

// write reads the node and writes it back, as long as others write it at the same time.
func (w *Writer) write(name string, s *State) error {
	ctx, cancel := context.WithTimeout(w.ctx, writeTime)
	defer cancel()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := w.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil || w.keeps(node) {
			return err
		}
		node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == Taint })
		if s == nil {
			delete(node.Annotations, Annotation)
		} else {
			metav1.SetMetaDataAnnotation(&node.ObjectMeta, Annotation, s.Text())
			effect := corev1.TaintEffectNoSchedule
			if !s.Closed { // pods that wait come first, and may need its room
				effect = corev1.TaintEffectPreferNoSchedule
			}
			if s.Closed || s.Reason == Consolidation && s.Step == Placing {
				node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: Taint, Value: s.Reason, Effect: effect})
			}
		}
		_, err = w.client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
		return err
	})
}
