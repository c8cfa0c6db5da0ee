package status

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"
)

// Events publishes the core's events about the status ConfigMap. The core keeps the ConfigMap that it made itself. Somebody may delete it,
// and Writer then makes another. Safe for concurrent use.
type Events struct {
	record.EventRecorder
	written atomic.Pointer[corev1.ConfigMap] // the latest, without its text
}

// about returns the ConfigMap that is there, which made was at first.
func (e *Events) about(made runtime.Object) runtime.Object {
	if written := e.written.Load(); written != nil {
		return written
	}
	return made
}

func (e *Events) Event(made runtime.Object, eventType, reason, message string) {
	e.EventRecorder.Event(e.about(made), eventType, reason, message)
}

func (e *Events) Eventf(made runtime.Object, eventType, reason, format string, args ...any) {
	e.EventRecorder.Eventf(e.about(made), eventType, reason, format, args...)
}

// Writer writes the status after each loop, in Run. The core itself must write no status (AutoscalingOptions.WriteStatusConfigMap).
type Writer struct {
	core            corestatus.AutoscalingStatusProcessor
	client          kubernetes.Interface
	namespace, name string
	events          *Events
	wake            chan struct{}
	writing         chan struct{} // has an element during a write or the deletion
	form            form          // of the last write

	mu     sync.Mutex
	unsent *loopStatus // the newest, nil if it is written
	ended  bool        // the ConfigMap is deleted for good
}

// A loopStatus is what the core knows at the end of a loop.
type loopStatus struct {
	at    time.Time
	facts *api.ClusterAutoscalerStatus
}

func NewWriter(core corestatus.AutoscalingStatusProcessor, client kubernetes.Interface, namespace, name string, events *Events) *Writer {
	return &Writer{core: core, client: client, namespace: namespace, name: name, events: events,
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
		w.write(context.WithoutCancel(ctx))
		select {
		case <-ctx.Done():
			return nil
		case <-next:
		}
	}
}

// write sends the newest status, if it is not sent yet.
func (w *Writer) write(ctx context.Context) {
	w.writing <- struct{}{}
	defer func() { <-w.writing }()
	w.mu.Lock()
	newest, ended := w.unsent, w.ended
	w.unsent = nil
	w.mu.Unlock()
	if newest == nil || ended {
		return
	}
	if err := w.send(ctx, newest); err != nil {
		klog.FromContext(ctx).Error(err, "The status is not written, the next loop tries again", "configMap", klog.KRef(w.namespace, w.name))
	}
}

// send writes what the core's WriteStatusConfigMap writes, and keeps what others have put into the ConfigMap.
func (w *Writer) send(ctx context.Context, newest *loopStatus) error {
	at := newest.at.Format(utils.ConfigMapLastUpdateFormat)
	text, err := w.form.text(*newest.facts, at)
	if err != nil {
		return fmt.Errorf("encode the status: %w", err)
	}
	if last := w.events.written.Load(); last != nil {
		if err = w.put(ctx, last.DeepCopy(), text, at); !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return err // nil, as a rule: nobody else writes it
		}
	}
	m, err := w.client.CoreV1().ConfigMaps(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.name}}
	} else if err != nil {
		return fmt.Errorf("read the ConfigMap: %w", err)
	}
	return w.put(ctx, m, text, at)
}

// put writes the text into m, which is new, or the latest that we know.
func (w *Writer) put(ctx context.Context, m *corev1.ConfigMap, text, at string) (err error) {
	if m.Data == nil {
		m.Data = map[string]string{}
	}
	m.Data["status"] = text
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, utils.ConfigMapLastUpdatedKey, at)
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	if m.ResourceVersion == "" {
		m, err = maps.Create(ctx, m, metav1.CreateOptions{})
	} else {
		m, err = maps.Update(ctx, m, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write the ConfigMap: %w", err)
	}
	delete(m.Data, "status")
	w.events.written.Store(m)
	return nil
}

const (
	// mostText leaves room for the status in a ConfigMap, which holds 1 MiB. The text of 1,000 groups has about 0.75 MiB.
	mostText = 1_000_000
	// groupsAtOnce are encoded together. Encoding 1,000 groups at once takes 50 MiB of memory.
	groupsAtOnce = 20
)

// A form is the text of a status with numbers in place of the times at which its conditions were looked at. At rest nothing else changes, and
// encoding was more than half of all that a loop allocated.
type form struct {
	of      api.ClusterAutoscalerStatus
	encoded string
}

// text returns the text that yaml.Marshal returns for the status at a time.
func (f *form) text(status api.ClusterAutoscalerStatus, at string) (string, error) {
	const now = "now"
	var looks []metav1.Time
	number := func(look *metav1.Time) {
		if look.IsZero() {
			return
		}
		n := slices.IndexFunc(looks, func(t metav1.Time) bool { return t.Equal(look) })
		if n < 0 {
			n, looks = len(looks), append(looks, *look)
		}
		*look = metav1.Unix(int64(n), 0)
	}
	number(&status.ClusterWide.Health.LastProbeTime)
	number(&status.ClusterWide.ScaleUp.LastProbeTime)
	number(&status.ClusterWide.ScaleDown.LastProbeTime)
	status.Time, status.NodeGroups = now, slices.Clone(status.NodeGroups)
	for n := range status.NodeGroups {
		g := &status.NodeGroups[n]
		number(&g.Health.LastProbeTime)
		number(&g.ScaleUp.LastProbeTime)
		number(&g.ScaleDown.LastProbeTime)
	}
	if !reflect.DeepEqual(f.of, status) {
		encoded, err := encode(status, mostText)
		if err != nil {
			return "", err
		}
		f.of, f.encoded = status, encoded
	}
	text := f.encoded
	for n, look := range looks {
		text = strings.ReplaceAll(text, probed(metav1.Unix(int64(n), 0)), probed(look))
	}
	return strings.TrimSuffix(text, now+"\n") + at + "\n", nil
}

func probed(at metav1.Time) string { return `lastProbeTime: "` + at.UTC().Format(time.RFC3339) + `"` }

// encode returns the text that yaml.Marshal returns for the status. The last groups are left out where the text would exceed most bytes, and its
// message says so.
func encode(status api.ClusterAutoscalerStatus, most int) (string, error) {
	var groups bytes.Buffer
	shown := 0
	for some := range slices.Chunk(status.NodeGroups, groupsAtOnce) {
		text, err := yaml.Marshal(some)
		if err != nil {
			return "", err
		}
		if groups.Len()+len(text) > most {
			status.Message = fmt.Sprintf("%d of %d node groups are left out, because a ConfigMap holds no more; asgctl groups lists all",
				len(status.NodeGroups)-shown, len(status.NodeGroups))
			break
		}
		groups.Write(text)
		shown += len(some)
	}
	status.NodeGroups = nil
	rest, err := yaml.Marshal(status)
	if err != nil || shown == 0 {
		return string(rest), err
	}
	// The keys are sorted, and the time is the last.
	end := bytes.LastIndex(rest, []byte("\ntime: ")) + 1
	return string(rest[:end]) + "nodeGroups:\n" + groups.String() + string(rest[end:]), nil
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
