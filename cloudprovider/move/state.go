package move

import (
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotation is on a node that is to be replaced. It holds its State as JSON, by which the next leader goes on.
const Annotation = "asg-autoscaler.github.io/move"

// Taint keeps new pods off a node that is about to be drained. kube-scheduler prefers other nodes to one that is to go for its price, by the
// effect PreferNoSchedule. The core leaves taints of this prefix out of the nodes that a group would add.
const Taint = "status-taint.cluster-autoscaler.kubernetes.io/asg-autoscaler-move"

// Step says how far a move is.
type Step string

const (
	Placing Step = "placing" // its pods get places, on nodes that there are, that come, or that are launched for them. Then it is drained, which is a taint
	Waiting Step = "waiting" // it did not go, and is tried again at State.Retry
	// Rebooting has package interruption drain the node, reboot its instance and put the node back into use.
	Rebooting Step = "rebooting"
	// Rebooted is behind that. Began is zero if the node did not come back: it is replaced then if it is still due.
	Rebooted Step = "rebooted"
)

const (
	// RebootTime is how long a reboot may take, with its drain. Bare metal boots in a quarter of an hour.
	RebootTime = 30 * time.Minute
	// rebootedFor is for how long a node that works after its reboot is not rebooted again, but replaced.
	rebootedFor = time.Hour
)

// State is a move under way.
type State struct {
	Why
	Reason      string    `json:"reason"`
	Since       time.Time `json:"since"`
	Step        Step      `json:"step"`
	Began       time.Time `json:"began"`                 // of the step
	Replacement string    `json:"replacement,omitempty"` // the node group that was asked for a node for its pods
	Launches    int       `json:"launches,omitempty"`    // how often, in this step
	Failures    int       `json:"failures,omitempty"`
	Retry       time.Time `json:"retry,omitzero"`
	Closed      bool      `json:"closed,omitempty"`   // the node takes no new pod, by Taint
	Boot        string    `json:"boot,omitempty"`     // the boot ID before the reboot
	Restarted   time.Time `json:"restarted,omitzero"` // when the Deployments were restarted that ask for it, once in a try
}

const (
	mostText  = 16 << 10 // bytes of the annotation. The names of 40 launch templates have 12 KiB
	mostTries = 100      // that count
)

// StateOf reads the annotation of a node, and reports false without one. Of one that somebody has spoilt it reads what comes before. The node's
// kubelet can write it, so it is believed only within its bounds, and nothing of it without a reason that exists.
func StateOf(node metav1.Object) (s State, moves bool) {
	text, moves := node.GetAnnotations()[Annotation]
	if moves && len(text) <= mostText {
		_ = json.Unmarshal([]byte(text), &s)
	}
	if !slices.Contains(reasons, s.Reason) {
		return State{}, moves
	}
	s.Failures, s.Launches = min(max(s.Failures, 0), mostTries), min(max(s.Launches, 0), mostTries)
	return s, moves
}

// AwaitsReboot reports whether the node is to be rebooted, and has not been.
func (s State) AwaitsReboot(node *corev1.Node) bool {
	return s.Step == Rebooting && node.Status.NodeInfo.BootID == s.Boot
}

// IgnoresWishes reports whether no pod keeps the node by its wish now.
func IgnoresWishes(node *corev1.Node) bool {
	s, _ := StateOf(node)
	return s.IgnoresWishes && s.Step == Placing
}

// Text is the annotation's value.
func (s State) Text() string {
	s.Since, s.Began, s.Retry = s.Since.UTC().Truncate(time.Second), s.Began.UTC().Truncate(time.Second), s.Retry.UTC().Truncate(time.Second)
	s.Restarted = s.Restarted.UTC().Truncate(time.Second)
	text, _ := json.Marshal(s) // of words and times, which cannot fail
	return string(text)
}
