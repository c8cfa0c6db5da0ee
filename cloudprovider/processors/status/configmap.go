package status

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"
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

	groups map[api.NodeGroupStatus]string // texts in the last text, for the write under way alone
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

// Run writes the newest status after each loop, until ctx ends. It logs errors. The next loop tries again.
func (w *Writer) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		}
		if err := w.write(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Could not write the status", "configMap", klog.KRef(w.namespace, w.name))
		}
	}
}

// write sends the newest status, if it is not sent yet.
func (w *Writer) write(ctx context.Context) error {
	w.writing <- struct{}{}
	defer func() { <-w.writing }()
	w.mu.Lock()
	newest := w.unsent
	w.unsent = nil
	if w.ended {
		newest = nil
	}
	w.mu.Unlock()
	if newest == nil {
		return nil
	}
	at := newest.at.Format(utils.ConfigMapLastUpdateFormat)
	content, err := w.text(*newest.facts, at)
	if err != nil {
		return err
	}
	maps := w.client.CoreV1().ConfigMaps(w.namespace)
	written, err := maps.Get(ctx, w.name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	switch {
	case missing:
		written = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.name}}
	case err != nil:
		return err
	}
	metav1.SetMetaDataAnnotation(&written.ObjectMeta, utils.ConfigMapLastUpdatedKey, at)
	if written.Data == nil {
		written.Data = map[string]string{}
	}
	written.Data["status"] = content
	if missing {
		_, err = maps.Create(ctx, written, metav1.CreateOptions{})
	} else {
		_, err = maps.Update(ctx, written, metav1.UpdateOptions{})
	}
	return err
}

// text returns the status as the core writes it: YAML with sorted fields.
func (w *Writer) text(facts api.ClusterAutoscalerStatus, at string) (string, error) {
	groups, before := facts.NodeGroups, w.groups
	facts.NodeGroups, facts.Time = nil, "" // these two are behind all others
	var b strings.Builder
	head, err := marshal(facts)
	b.WriteString(head)
	if len(groups) > 0 {
		b.WriteString("nodeGroups:\n")
	}
	w.groups = make(map[api.NodeGroupStatus]string, len(groups))
	for _, g := range groups {
		// Most groups change in nothing but the times at which the core looked at them. So a text has marks for these times, and is made
		// once per change. The YAML library takes a hundred milliseconds for a thousand groups.
		var times []string
		for n, t := range []*metav1.Time{&g.Health.LastProbeTime, &g.ScaleUp.LastProbeTime, &g.ScaleDown.LastProbeTime} {
			if mark := metav1.Date(1, 1, 1, 0, 0, n+1, 0, time.UTC); !t.IsZero() {
				times = append(times, stamp(mark), stamp(*t))
				*t = mark
			}
		}
		text, known := before[g]
		if !known {
			var failed error
			text, failed = marshal([]api.NodeGroupStatus{g})
			err = errors.Join(err, failed)
		}
		w.groups[g] = text
		b.WriteString(strings.NewReplacer(times...).Replace(text))
	}
	tail, failed := marshal(map[string]string{"time": at})
	b.WriteString(tail)
	return b.String(), errors.Join(err, failed)
}

// stamp is the time as the API machinery writes it.
func stamp(t metav1.Time) string { return t.UTC().Format(time.RFC3339) }

func marshal(value any) (string, error) {
	text, err := yaml.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("status as YAML: %w", err)
	}
	return string(text), nil
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
