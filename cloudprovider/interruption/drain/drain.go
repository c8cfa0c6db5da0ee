// Package drain moves the pods off a node that is about to go, in the time that is left.
//
// Pods are evicted through the API server, so that disruption budgets and grace periods hold; a budget that refuses is asked
// again. What belongs to a DaemonSet, is static or has finished stays. In the last seconds what a budget still holds back is,
// if asked for, deleted with the grace that is left: the instance would take it down without any. Which pods are to move and
// how one is evicted is the matter of kubectl's own drain package.
//
// The package starts goroutines only for calls it waits for. It keeps no state: a drain that was cut off is begun again.
package drain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	kubectldrain "k8s.io/kubectl/pkg/drain"
	"k8s.io/utils/clock"
)

const (
	// again is the pause between two looks at the node.
	again = time.Second
	// A pod that was not let go is asked again after askFirst, and askMore later each time, at most askMost: hundreds may be held
	// back at once, and every answer costs the API server a look at the budget.
	askFirst, askMore, askMost = time.Second, 250 * time.Millisecond, 5 * time.Second
	// soon is the pause while pods may go at any moment.
	soon = 500 * time.Millisecond
	// evictionsAtOnce bounds the evictions under way for one node.
	evictionsAtOnce = 10
)

// Plan is how long a drain may take. It is asked for anew at every look, for it may change on the way.
type Plan struct {
	// Deadline is when the node goes; zero is never.
	Deadline time.Time
	// Force is when what is still held back is deleted; zero is never.
	Force time.Time
	// Hands off tells that somebody else drains the node: nothing is evicted, only waited for.
	HandsOff bool
}

// Result is what came of a drain.
type Result struct {
	Evicted int // pods that went by eviction, or by themselves once asked to
	Forced  int // pods that were deleted because a budget would not let them go in time
	Lost    int // pods still there when the time was over
	// Owners are the controllers of the pods that were asked to go, each once.
	Owners []Owner
}

// Owner is the controller of pods.
type Owner struct {
	Namespace string
	UID       types.UID
}

// Drainer drains nodes. Safe for concurrent use.
type Drainer struct {
	Client kubernetes.Interface
	Clock  clock.Clock
	// Moved is told of each pod that is evicted or, if forced, deleted; may be nil.
	Moved func(pod *corev1.Pod, forced bool)
	// Stuck is told once of each pod that could not be moved for another reason than a budget; may be nil.
	Stuck func(pod *corev1.Pod, err error)
}

// Pods are the pods that a drain of the node has to move, as the API server has them. It costs a call for the pods, and one for
// each that belongs to a DaemonSet.
func (d *Drainer) Pods(ctx context.Context, node string) ([]corev1.Pod, error) {
	list, errs := d.helper(ctx).GetPodsForDeletion(node)
	if len(errs) > 0 {
		return nil, fmt.Errorf("list the pods of node %q: %w", node, errors.Join(errs...))
	}
	return list.Pods(), nil
}

// helper is kubectl's, set to move everything that can be moved.
func (d *Drainer) helper(ctx context.Context) *kubectldrain.Helper {
	return &kubectldrain.Helper{
		Ctx: ctx, Client: d.Client, GracePeriodSeconds: -1, Out: io.Discard, ErrOut: io.Discard,
		Force:               true, // pods without a controller, too: the node does not ask
		IgnoreAllDaemonSets: true,
		DeleteEmptyDirData:  true,
		ChunkSize:           500,
		AdditionalFilters: []kubectldrain.PodFilter{func(pod corev1.Pod) kubectldrain.PodDeleteStatus {
			if finished(&pod) {
				return kubectldrain.MakePodDeleteStatusSkip()
			}
			return kubectldrain.MakePodDeleteStatusOkay()
		}},
	}
}

func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Drain moves the pods off the node until none is left, the plan's deadline has come, or ctx ends, whose error it then returns.
// Errors of the API server are no end: they are logged, and it is tried again.
func (d *Drainer) Drain(ctx context.Context, node string, plan func() Plan) (Result, error) {
	r := &round{Drainer: d, node: node, owners: map[Owner]bool{}, tried: map[types.UID]try{}, moved: map[types.UID]bool{}, stuck: map[types.UID]bool{}}
	return r.run(ctx, plan)
}
