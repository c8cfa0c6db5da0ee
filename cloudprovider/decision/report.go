package decision

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Version names the form of a Report in JSON. It changes when a reader of the last form would misread the new one.
const Version = "v1"

// Report is what the autoscaler knows and decided, as of one moment. It is immutable.
type Report struct {
	Version  string    `json:"version"`
	At       time.Time `json:"at"`
	Process  Process   `json:"process"`
	Reading  Reading   `json:"reading"`
	Loop     Loop      `json:"loop"`
	Groups   []Group   `json:"groups"`                // by name
	Pods     []Pod     `json:"pods"`                  // pending ones, by namespace and name
	PodsLeft int       `json:"podsLeftOut,omitempty"` // pending ones for which the record had no room
	Searches []Search  `json:"searches"`              // the answers of the groups, shared by equivalent pods
	Nodes    []Node    `json:"nodes"`                 // nodes and instances of the groups, by name
	Launches []Launch  `json:"launches"`              // the last ones, newest first
	Timeline []Entry   `json:"timeline"`              // the last decisions, newest first
	Calls    []Call    `json:"calls"`                 // calls of AWS APIs since the start of the process, by service and action
	Spend    Spend     `json:"spend"`
	Shadow   *Shadow   `json:"shadow,omitempty"` // nil but of an autoscaler that watches another one
}

// Process is the autoscaler that made the report.
type Process struct {
	Version  string    `json:"version"`
	Cluster  string    `json:"cluster,omitempty"` // "" where nothing states it
	Region   string    `json:"region"`
	Started  time.Time `json:"started"`
	Leader   bool      `json:"leader"`           // it holds the lease or needs none. Without it, the report has nothing else
	Holder   string    `json:"holder,omitempty"` // name of the replica that holds the lease, a pod's as a rule, "" where nobody is known to
	Plugin   bool      `json:"plugin,omitempty"` // it answers a core in another process, which alone knows why pods wait and nodes stay
	Expander string    `json:"expander"`         // value of --expander
	Flags    []string  `json:"flags,omitempty"`  // those that were given, as --name=value, one for each value, by name, without secrets
	Off      []string  `json:"off,omitempty"`    // why a feature is off although its flag says on, one for each
}

// Reading is the last reading of the groups from AWS.
type Reading struct {
	At      time.Time `json:"at,omitzero"`      // when it began, zero before the first one
	Failure Reason    `json:"failure,omitzero"` // why the readings after it failed, empty while at most one did
}

// Stale returns the sentence that stands before all facts once their age matters, and what helps.
func (r Reading) Stale(now time.Time) (Reason, bool) {
	stale := r.Failure
	stale.Message = "These facts are " + duration.HumanDuration(max(0, now.Sub(r.At))) + " old: " + stale.Message
	if r.At.IsZero() {
		stale.Message = "Nothing is known of the groups yet: " + r.Failure.Message
	}
	return stale, r.Failure.Message != ""
}

// Then returns the next step about a fact. While the facts are old, a command may undo what somebody has changed meanwhile, and none is shown.
func (r Reading) Then(remedy string, now time.Time) string {
	if _, old := r.Stale(now); old && remedy != "" {
		return "mend the reading first, because this may no longer be so"
	}
	return remedy
}

var noMinutesOrSeconds = regexp.MustCompile(`([hm])(0m)?0s$`)

// Span is a duration in a text for people, such as "2h" or "1h30m".
func Span(d time.Duration) string { return noMinutesOrSeconds.ReplaceAllString(d.String(), "$1") }

// Silence is the Trigger of a plugin's loop that no call of a core began.
const Silence = "silence of the core"

type Loop struct {
	Number   int64         `json:"number"` // 1 for the first
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"durationNanoseconds"`
	Trigger  string        `json:"trigger"`
	Result   Reason        `json:"result"` // of the scale-up
}

// Reason says why in one sentence.
type Reason struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`          // names the cause with its objects and figures, no full stop
	Remedy  string `json:"remedy,omitempty"` // the next step: a command that can be pasted, or a change to make
	// For the process itself:
	About  string `json:"-"` // the tag's key, the resource or the rule of the scheduler that it is about, where the code leaves that open
	Passes bool   `json:"-"` // it passes by itself
	OfPod  bool   `json:"-"` // it holds for every node
}

// Group is a node group: an Auto Scaling group, or its part in one zone.
type Group struct {
	Name         string     `json:"name"` // the ID of the node group
	AutoScaling  string     `json:"autoScalingGroup"`
	Zones        []string   `json:"zones"`
	Types        []string   `json:"instanceTypes"`
	CapacityType string     `json:"capacityType"` // "on-demand", "spot" or "mixed", or "unknown"
	Min          int        `json:"min"`
	Max          int        `json:"max"`
	Desired      int        `json:"desired"`
	AtMin        []Limit    `json:"atMin,omitempty"` // settings that keep it from having a node fewer
	AtMax        []Limit    `json:"atMax,omitempty"` // settings that keep it from having another node
	EKS          *Nodegroup `json:"eksNodegroup,omitempty"`
	Ready        int        `json:"ready"`    // registered and ready nodes
	Starting     int        `json:"starting"` // asked for or registered, not ready
	State        GroupState `json:"state"`
	Reason       Reason     `json:"reason"`           // why it is not in state GroupReady
	Paused       *Pause     `json:"paused,omitempty"` // nil where nothing is left alone
	Clock        []string   `json:"clock,omitempty"`  // limits of its size by schedules and scheduled actions, which hold now
	CoolDowns    []CoolDown `json:"coolDowns,omitempty"`
	Problems     []Reason   `json:"problems,omitempty"`
	NodePrice    string     `json:"nodePricePerHour,omitempty"` // of the next node, with its currency
	Spend        float64    `json:"spendPerHour"`               // of its instances, in the currency of Spend
	AboutPrice   bool       `json:"nodePriceEstimated,omitempty"`
	AboutSpend   bool       `json:"spendEstimated,omitempty"`
	Undivided    string     `json:"-"` // why it is not scaled zone by zone, and what helps, "" where its tag does
}

// Beside returns what to show beside the group's reason: the cool-downs, without the causes that it names, and the problems that it
// does not name.
func (g *Group) Beside() (coolDowns []CoolDown, problems []Reason) {
	said := func(cause Reason) bool {
		return cause.Message != "" && strings.Contains(g.Reason.Message, cause.Message)
	}
	coolDowns = slices.Clone(g.CoolDowns)
	for at := range coolDowns {
		if said(coolDowns[at].Cause) {
			coolDowns[at].Cause = Reason{}
		}
	}
	return coolDowns, slices.DeleteFunc(slices.Clone(g.Problems), said)
}

// Pause is what is left alone of a group, by a tag of its owner or while AWS works on its instances.
type Pause struct {
	ScaleUp   bool      `json:"scaleUp"`
	ScaleDown bool      `json:"scaleDown"`
	Until     time.Time `json:"until,omitzero"` // zero without an end
	Reason    Reason    `json:"reason"`
}

// Limit is a setting that a group has reached. The sizes are in the capacity units of its Auto Scaling group.
type Limit struct {
	Flag  string `json:"flag,omitempty"`  // value of the --nodes flag that has the limit, "" for another
	Clock string `json:"clock,omitempty"` // the tag or scheduled action that has it for now, "" for another: without a Flag, AWS's own size of the group
	Size  int    `json:"size"`
	Needs int    `json:"needs"` // the size that one node fewer, or another node, needs
}

// Nodegroup is an EKS managed node group, which has the sizes of its Auto Scaling group.
type Nodegroup struct {
	Cluster string `json:"cluster"`
	Name    string `json:"name"`
}

// GroupState says whether a group can grow.
type GroupState string

const (
	GroupReady    GroupState = "ready"     // it can grow
	GroupFull     GroupState = "full"      // it has its maximum size, or a spend cap leaves no room
	GroupPaused   GroupState = "paused"    // it is left alone
	GroupCoolDown GroupState = "cool-down" // it is left alone after a failure
	GroupDegraded GroupState = "degraded"  // a fact is missing or wrong, the group cannot grow or grows by older facts
)

// CoolDown is a pool of capacity that is left alone after a failure.
type CoolDown struct {
	Group string    `json:"-"`                      // the only Auto Scaling group that it holds for, "" for all with the pool
	Zone  string    `json:"zone,omitempty"`         // "" for all zones of the group
	Type  string    `json:"instanceType,omitempty"` // "" for all types
	Cause Reason    `json:"cause"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// Pod is a pod that waits for a node.
type Pod struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	Owner     string    `json:"owner,omitempty"` // such as "Deployment/web"
	Since     time.Time `json:"since,omitzero"`  // when it became pending
	State     PodState  `json:"state"`
	Cause     Reason    `json:"cause"`           // why it waits, the first line of every explanation
	Group     string    `json:"group,omitempty"` // in which a node was asked for, for this pod
	Search    int       `json:"search"`          // index in Report.Searches, -1 before the first search or where the record had no room for the answers
}

// PodState says what a pending pod waits for.
type PodState string

const (
	PodHelpless  PodState = "helpless"  // no group helps it, or the scheduler does not use the room on a node
	PodLaunching PodState = "launching" // a node for it was asked for
	PodFits      PodState = "fits"      // it fits on a node that is there or on its way
	PodDelayed   PodState = "delayed"   // the autoscaler has not looked for it yet, and the cause says why
	PodIgnored   PodState = "ignored"   // the autoscaler looks for no node for such pods, and the cause says why
)

// Search holds the answers of all groups to equivalent pods.
type Search struct {
	At      time.Time `json:"at"`
	Answers []Answer  `json:"answers"` // in the expander's order, then skipped and rejected ones by name
}

// Answer says whether and why a group helps.
type Answer struct {
	Group    string  `json:"group"`
	Verdict  Verdict `json:"verdict"`
	Reason   Reason  `json:"reason"`
	Nodes    int     `json:"nodes,omitempty"`    // that the expander's option adds
	Pods     int     `json:"pods,omitempty"`     // that find a place on them
	Expander string  `json:"expander,omitempty"` // the expander's words about the option: score, idle shares, price
}

// Verdict is a group's answer in one word.
type Verdict string

const (
	Chosen   Verdict = "chosen"   // the expander took it
	Fits     Verdict = "fits"     // it would help, the expander took another
	Rejected Verdict = "rejected" // the pod would not run on its nodes
	Skipped  Verdict = "skipped"  // it cannot grow now
)

// Node is a node of a group, or an instance that has not become a node.
type Node struct {
	Name         string    `json:"name"` // of the instance where there is no node
	InstanceID   string    `json:"instanceID"`
	Group        string    `json:"group"`
	Zone         string    `json:"zone"`
	InstanceType string    `json:"instanceType"`
	CapacityType string    `json:"capacityType,omitempty"`
	State        NodeState `json:"state"`
	Since        time.Time `json:"since,omitzero"`      // of this state
	Reason       Reason    `json:"reason"`              // why it stays or goes
	Requested    bool      `json:"requested,omitempty"` // somebody asks for its removal
	Move         *Move     `json:"move,omitempty"`      // its replacement, nil for none
	Pod          string    `json:"pod,omitempty"`       // namespace/name of the pod that keeps it
	Utilization  float64   `json:"utilization"`         // 0 to 1, -1 where it was not computed
	Console      []string  `json:"console,omitempty"`   // the end of its instance's console output, where it does not become a node
	RemovalAt    time.Time `json:"removalAt,omitzero"`  // when its delay is over, zero for none
	PerHour      float64   `json:"perHour,omitempty"`   // what its instance costs, in the currency of Spend, 0 where that is not known
	About        bool      `json:"perHourEstimated,omitempty"`
}

// Move is a node that is to be replaced.
type Move struct {
	Reason      string    `json:"reason"` // such as rotation
	Cause       string    `json:"cause"`
	Since       time.Time `json:"since,omitzero"`        // zero where it has not begun
	Replacement string    `json:"replacement,omitempty"` // node group of a node that was launched for its pods
	Failures    int       `json:"failures,omitempty"`
	Hold        string    `json:"hold,omitempty"`  // what holds it back, one word, "" where it goes on
	Waits       string    `json:"waits,omitempty"` // the same for people
	Retry       time.Time `json:"retry,omitzero"`  // of a node that did not go
}

// hoursOfMonth are 365 days of 24 hours by 12 months, as in AWS's own pages of prices.
const hoursOfMonth = 730

// PerMonth is the price of its instance for a month, 0 where that is not known.
func (n *Node) PerMonth() float64 { return n.PerHour * hoursOfMonth }

// NodeState says where a node is on its way.
type NodeState string

const (
	NodeStarting NodeState = "starting" // not registered or not ready yet
	NodeNeeded   NodeState = "needed"
	NodeBlocked  NodeState = "blocked"  // not needed, but something keeps it
	NodeUnneeded NodeState = "unneeded" // goes after its delay
	NodeDraining NodeState = "draining" // for a scale-down or an interruption
	NodeLeaving  NodeState = "leaving"  // its instance is being terminated
)

// Goes reports whether the node is on its way out.
func (s NodeState) Goes() bool { return s == NodeDraining || s == NodeLeaving }

// Launch is one request for instances.
type Launch struct {
	Group    string        `json:"group"`
	Zone     string        `json:"zone,omitempty"`
	Mode     string        `json:"mode"` // the AWS call
	Asked    int           `json:"asked"`
	Launched int           `json:"launched"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"durationNanoseconds"`
	Outcome  Reason        `json:"outcome"`
}

// Entry is one decision of the timeline.
type Entry struct {
	At     time.Time `json:"at"`
	Kind   EntryKind `json:"kind"`
	Group  string    `json:"group,omitempty"`
	Node   string    `json:"node,omitempty"`
	Reason Reason    `json:"reason"`
	Times  int       `json:"times,omitempty"` // that the same failure was decided, 0 for once. Only the last one is listed
}

// EntryKind says what was decided.
type EntryKind string

const (
	ScaleUp      EntryKind = "scale-up"   // the expander chose a group
	ScaleDown    EntryKind = "scale-down" // a node goes because it is not needed
	LaunchFailed EntryKind = "launch-failed"
	Interrupted  EntryKind = "interruption" // AWS takes a node
	Problem      EntryKind = "problem"      // something is wrong with a group
	Mended       EntryKind = "mended"       // a problem is over
)

// Call counts calls of one action of an AWS API.
type Call struct {
	Action    string `json:"action"`
	Count     int64  `json:"count"`
	Throttled int64  `json:"throttled"`
	Failed    int64  `json:"failed"` // without throttled ones
}

// Spend is what the instances of all groups cost.
type Spend struct {
	Currency string  `json:"currency"`
	PerHour  float64 `json:"perHour"`
	About    bool    `json:"estimated,omitempty"` // in part at least

	Caps []SpendCap `json:"caps,omitempty"` // by the flag, then by tags in the order of the groups' names

	Consolidation *Consolidation `json:"consolidation,omitempty"` // nil if nobody looks for nodes that cost too much
}

// Consolidation holds the plans that --asg-consolidate has found.
type Consolidation struct {
	Plans []ConsolidationPlan `json:"plans"`                  // the best first. Each is for itself, no node is in two of them
	Saved float64             `json:"savedPerHour,omitempty"` // by the plans that this process has carried out
}

// Saving is what the plans save together at most: each was tried alone, and two may need the same free room.
func (c *Consolidation) Saving() (sum float64) {
	for _, p := range c.Plans {
		sum += p.Saving
	}
	return sum
}

// ConsolidationPlan is nodes that may go.
type ConsolidationPlan struct {
	Nodes   []string `json:"nodes"`
	NewNode string   `json:"newNode,omitempty"` // the node group that gets one node in their place, "" for none
	PerHour float64  `json:"perHour"`           // what the nodes cost
	Saving  float64  `json:"savingPerHour"`
	Begun   bool     `json:"begun,omitempty"` // it is carried out
}

// WholeCluster is what a SpendCap on all nodes is of.
const WholeCluster = "cluster"

// SpendCap is the most that some nodes may cost per hour, in the currency of Spend.
type SpendCap struct {
	Of       string  `json:"of"`              // WholeCluster, a label of nodes as key=value, or an Auto Scaling group
	Group    string  `json:"group,omitempty"` // the Auto Scaling group whose tag states it, "" for the flag's
	PerHour  float64 `json:"perHour"`
	Spent    float64 `json:"spentPerHour"`        // by the nodes and the instances that AWS has been asked for
	About    bool    `json:"estimated,omitempty"` // in part at least
	Unpriced bool    `json:"-"`                   // the next node of the group in question has no price
	Dearest  float64 `json:"-"`                   // what a later node of the group costs that is dearer than the next one, 0 for none
}
