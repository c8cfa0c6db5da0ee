package decisions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	"k8s.io/autoscaler/cluster-autoscaler/utils/taints"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
)

type Config struct {
	Record *decision.Record
	Core   config.AutoscalingOptions
	Clock  clock.PassiveClock
	// ScaleDown is --scale-down-enabled.
	ScaleDown bool
	// Remote means that the core runs in another process, and that only its questions are known.
	Remote bool

	// Provider, Nodes and Cluster are set before the first loop. Cluster returns the name of the cluster, "" before it is known.
	Provider *aws.Provider
	Nodes    corelisters.NodeLister
	Cluster  func() string
	// Need returns the one zone that a pod must run in, and by what. It is safe for concurrent use, and may be nil.
	Need func(*corev1.Pod) (podzone.Need, bool)
	// Unneeded has the nodes that are not needed. New makes one that has none.
	Unneeded *scaledown.UnneededTimes

	// These are of the last loop, and may be nil. Nobody changes the maps any more.
	Kept          func() map[string]scaledown.KeptBy // nodes, for the time of a pod
	Needed        func() map[string]bool             // nodes, for pods of nodes that leave
	Held          func() map[string]move.Held        // nodes that are to be replaced and wait
	Consolidation func() *decision.Consolidation     // nodes that cost too much
	Buffers       func() map[string][]string         // the capacity buffers that have room on each node
}

// Collector collects the facts of each loop. Begin, End and everything at the core's extension points belong to the core's loop. The
// observers of launches, problems and interruptions are safe for concurrent use.
type Collector struct {
	Config
	number  int64
	trigger string
	now     *facts // of the loop under way
	missed  int    // readings in a row, for Read alone

	earlier
	starting map[string]unjoined // instances whose node is not Ready yet, by ID
	seen     *aws.View           // by the last loop before its scale-up, nil before the first
	taints   taints.TaintConfig
	halted   atomic.Bool // by the last loop too many nodes are not ready

	// For the goroutine that puts a loop into words:
	states  map[string]stateSince   // by node
	fitting map[types.UID]time.Time // since when pending pods have had room

	mu     sync.Mutex             // guards what follows
	failed map[string]lastFailure // the last launch of a node group, if that failed
	pauses map[string]pause       // backoffs, by node group
}

// earlier are facts of earlier loops. The maps are replaced and never changed, because the words of a loop are made of them later.
type earlier struct {
	asked    map[types.UID][]string   // node groups in which nodes were asked for at once, by pod
	blocked  map[string]unremovable   // the last reason that the core looked into, by node
	unjoined map[string]unjoined      // instances without a node, by ID
	joins    map[string]time.Duration // the time that the last node took to join, by Auto Scaling group
	refused  map[string]failedRemoval // nodes whose last removal failed
}

type failedRemoval struct {
	decision.Reason
	at time.Time
}

type lastFailure struct {
	decision.Reason
	at      time.Time
	nothing bool // AWS launched no instance
}

// failureCounts is how long a failed launch may be the cause of something: as long as the longest cool-down after one.
const failureCounts = 15 * time.Minute

type stateSince struct {
	state decision.NodeState
	since time.Time
}

// facts are found out by one loop.
type facts struct {
	at        time.Time
	view      *aws.View
	unhealthy bool // too many nodes are not ready
	stale     bool // the last reading of the groups is too old to choose a group by
	groupless bool // discovery selects no group
	empty     bool // no node is Ready, and --scale-up-from-zero=false

	listed          bool // the loop got as far as the pending pods
	pending, toHelp []*corev1.Pod
	waitForRoom     []*corev1.Pod             // of pods that are ending
	status          *corestatus.ScaleUpStatus // nil before the scale-up
	unhelped        unhelped                  // in the place of status.PodsRemainUnschedulable
	raises          []raise                   // successful scale-ups of status
	choices         []*choice                 // of the expander, in order
	members         int                       // pods in the options of the choices
	context         *cacontext.AutoscalingContext

	scaleDown *scaledownstatus.ScaleDownStatus // nil before the scale-down
	unneeded  map[string]scaledown.Unneeded    // by node, as of the last loop that looked
	kept      map[string]scaledown.KeptBy      // nodes that stay for the time of a pod
	needed    map[string]bool                  // nodes that stay for pods of nodes that leave
	held      map[string]move.Held             // nodes that are to be replaced and wait
	buffers   map[string][]string              // that have room on a node, by node
	earlier
}

func New(c Config) *Collector {
	c.Unneeded = &scaledown.UnneededTimes{}
	return &Collector{Config: c, now: &facts{}, earlier: earlier{refused: map[string]failedRemoval{}}, failed: map[string]lastFailure{}, pauses: map[string]pause{},
		taints: taints.NewTaintConfig(c.Core)}
}

// ready reports whether the node is Ready for the core, which takes one with a start-up taint for starting.
func (c *Collector) ready(node *corev1.Node) bool {
	return nodemeta.Ready(node) && c.startupTaint(node) == ""
}

func (c *Collector) startupTaint(node *corev1.Node) string {
	for _, t := range node.Spec.Taints {
		if c.taints.IsStartupTaint(t.Key) {
			return t.Key
		}
	}
	return ""
}

// empty reports whether --scale-up-from-zero=false has the core end its loops.
func (c *Collector) empty() bool {
	if c.Core.ScaleUpFromZero || c.Remote {
		return false
	}
	nodes, _ := c.Nodes.List(labels.Everything()) // the lister reads a cache
	return !slices.ContainsFunc(nodes, c.ready)
}

// Halted reports whether the core acts on nothing until more nodes are ready. It is safe for concurrent use.
func (c *Collector) Halted() bool { return c.halted.Load() }

func (c *Collector) Begin(trigger string, at time.Time) {
	c.number, c.trigger, c.now = c.number+1, trigger, &facts{at: at}
}

func (c *Collector) End() {
	f, now := c.now, c.Clock.Now()
	c.now = &facts{}
	c.Provider.PretendNone() // a loop without a scale-up
	f.view, f.stale = c.Provider.View(), c.Provider.TooOldToAdd()
	f.groupless = len(f.view.NodeGroups())+len(f.view.Snapshot().Foreign()) == 0
	f.empty = !f.listed && c.empty()
	f.earlier, f.unneeded = c.earlier, c.Unneeded.Nodes
	f.kept, f.needed, f.held, f.buffers = called(c.Kept), called(c.Needed), called(c.Held), called(c.Buffers)
	c.Record.SetCluster(c.Cluster())
	s := c.Provider.Spending()
	c.Record.Spent(decision.Spend{Currency: string(s.Total.Currency), PerHour: s.Total.PerHour, About: s.Total.Estimated, Caps: s.Caps(),
		Consolidation: called(c.Consolidation)})
	result := f.result()
	if c.Remote && !f.stale && !f.groupless {
		result = decision.Reason{Code: decision.CodeOther, Message: "the Cluster Autoscaler decides in its own process", Remedy: "look into its log"}
		if c.trigger == decision.Silence {
			result.Message, result.Remedy = "no Cluster Autoscaler calls this plugin", "see that one runs, and that it calls another replica"
		}
	}
	c.Record.Looped(decision.Loop{Number: c.number, Started: f.at, Duration: now.Sub(f.at), Trigger: c.trigger, Result: result},
		newCluster(c, f).words)
}

// called returns what a function returns that may be nil.
func called[T any](f func() T) (result T) {
	if f != nil {
		result = f()
	}
	return result
}

// nodeInfo returns the next node of a group, or nil. It is read from the core when it is needed, because two loops' worth of them cost the
// core's loop a twentieth of its time. Nothing changes labels, taints and resources once the core shows them.
func (f *facts) nodeInfo(group string) *framework.NodeInfo {
	if f.context == nil || f.context.TemplateNodeInfoRegistry == nil {
		return nil
	}
	info, _ := f.context.TemplateNodeInfoRegistry.GetNodeInfo(group)
	return info
}

// copied reports whether the core knows the next node of a group without a template, as the copy of a node that the group has or had.
func (f *facts) copied(group string) bool {
	info := f.nodeInfo(group)
	return info != nil && !nodemeta.Placeholder.On(info.Node())
}

func (f *facts) result() decision.Reason {
	status := cmp.Or(f.status, &corestatus.ScaleUpStatus{Result: corestatus.ScaleUpNotTried})
	switch result := status.Result; {
	case f.unhealthy:
		return decision.Reason{Code: decision.CodeUnhealthy, Message: "too many nodes of the cluster are not ready (--max-total-unready-percentage, --ok-total-unready-count)",
			Remedy: "kubectl get nodes"}
	case f.stale:
		return why.Skipped(why.Refusal{Kind: why.RefusedUnread}, nil)
	case f.groupless:
		return why.NoGroups()
	case f.empty:
		return decision.Reason{Code: decision.CodeOther, Message: "no node of the cluster is Ready, and --scale-up-from-zero=false lets no node be launched then",
			Remedy: "set --scale-up-from-zero=true"}
	case result == corestatus.ScaleUpNotTried:
		return decision.Reason{Code: decision.CodeOther, Message: "the loop ended before it looked for pending pods", Remedy: "look for errors in the autoscaler's log"}
	case result == corestatus.ScaleUpSuccessful:
		return decision.Reason{Code: decision.CodeLaunching, Message: "launched " + grown(status.ScaleUpInfos)}
	case result == corestatus.ScaleUpError && status.ScaleUpError != nil:
		return decision.Reason{Code: decision.CodeOther, Message: "a launch failed: " + (*status.ScaleUpError).Error()}
	case result == corestatus.ScaleUpError:
		return decision.Reason{Code: decision.CodeOther, Message: "a launch failed"}
	case result == corestatus.ScaleUpNoOptionsAvailable && f.unhelped.count == 0:
		return decision.Reason{Code: decision.CodeScheduling, Message: "no group helps pods that run on nodes to be replaced, or that do not exist yet"}
	case result == corestatus.ScaleUpNoOptionsAvailable:
		return decision.Reason{Code: decision.CodeScheduling, Message: "no group helps " + why.Count(f.unhelped.count, "pending pod")}
	case result == corestatus.ScaleUpInCooldown:
		return decision.Reason{Code: decision.CodeDelay, Message: "all pending pods are very young"}
	case result == corestatus.ScaleUpLimitedByMaxNodesTotal:
		return decision.Reason{Code: decision.CodeMaxNodesTotal, Message: "the cluster has the nodes that --max-nodes-total allows"}
	}
	return decision.Reason{Code: decision.CodeFits, Message: "no pod waits for a node that is not on its way"}
}

func grown(infos []nodegroupset.ScaleUpInfo) string {
	var list []string
	for _, info := range infos[:min(len(infos), maxNamed)] {
		list = append(list, fmt.Sprintf("%s in group %q", why.Count(info.NewSize-info.CurrentSize, "node"), info.Group.Id()))
	}
	if len(infos) > maxNamed {
		list = append(list, "and more")
	}
	return strings.Join(list, ", ")
}

// maxNamed bounds the groups that a message names.
const maxNamed = 5
