package scaledown

import (
	"errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/drainability/rules"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/drain"
	podutils "k8s.io/autoscaler/cluster-autoscaler/utils/pod"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/podlist"
)

var errMoves = errors.New("the node is not empty, because this pod would move")

// EmptyRules are rules of a drain that only show which nodes are empty. They block at the first pod that would move. The core asks for each node in
// each loop, and without them looks at all pods of the node. A node with nothing but room for pods is empty, because nobody is evicted.
func EmptyRules(of rules.Rules) rules.Rules { return rules.Rules{untilMove{of}} }

type untilMove struct{ rules.Rules }

func (untilMove) Name() string { return "UntilMove" }

func (u untilMove) Drainable(ctx *drainability.DrainContext, pod *corev1.Pod, node *framework.NodeInfo) drainability.Status {
	if podlist.IsFake(pod) {
		return drainability.NewSkipStatus()
	}
	status := u.Rules.Drainable(ctx, pod, node)
	status.Overrides = nil // of the other rules, which have all been asked
	if moves := status.Outcome == drainability.UndefinedOutcome || status.Outcome == drainability.DrainOk; moves && !podutils.IsDaemonSetPod(pod) {
		return drainability.NewBlockedStatus(drain.UnexpectedError, errMoves)
	}
	return status
}
