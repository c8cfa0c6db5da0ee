package decisions

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	scaledownstatus "k8s.io/autoscaler/cluster-autoscaler/core/scaledown/status"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	corestatus "k8s.io/autoscaler/cluster-autoscaler/processors/status"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	corebackoff "k8s.io/autoscaler/cluster-autoscaler/utils/backoff"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
)

// Launched records a launch, and a failed one in the timeline, too.
func (c *Collector) Launched(l asg.Launch) {
	outcome, failed := outcomeOf(l)
	group := group.ZoneGroupID(l.Group, l.Zone)
	if l.Zone == "" || c.Provider == nil || c.Provider.View().Group(group) == nil { // it is scaled as a whole
		group = l.Group
	}
	c.Record.Launched(decision.Launch{Group: group, Zone: l.Zone, Mode: l.Call, Asked: l.Asked, Launched: l.Launched, Started: l.Started,
		Duration: l.Duration, Outcome: outcome})
	c.mu.Lock()
	_, failing := c.failed[group]
	if failed {
		c.failed[group] = lastFailure{outcome, c.Clock.Now(), l.Launched == 0}
	} else {
		delete(c.failed, group)
	}
	c.mu.Unlock()
	if failed || failing {
		c.Record.Reword()
	}
	if failed {
		c.Record.Decided(decision.Entry{Kind: decision.LaunchFailed, Group: group, Reason: outcome})
	}
}

// enoughMissed readings in a row make the age of the last one a fact to show. AWS misses a single one now and then.
const enoughMissed = 2

// Read records the last reading of the groups, and why later ones failed. Before the first one each failure counts.
func (c *Collector) Read(last time.Time, reason, text string) {
	r := decision.Reading{At: last}
	c.missed++
	if reason == "" {
		c.missed = 0
	} else if c.missed >= enoughMissed || last.IsZero() {
		r.Failure = why.Unread(reason, text)
	}
	c.Record.SetReading(r)
}

// outcomeOf puts the outcome of a launch into words, and reports whether AWS launched less than it was asked for.
func outcomeOf(l asg.Launch) (decision.Reason, bool) {
	var r decision.Reason
	launched := fmt.Sprintf("launched %d of %s", l.Launched, why.Count(l.Asked, "instance"))
	attempt := why.Attempt{Group: &decision.Group{AutoScaling: l.Group}, Call: cmp.Or(l.RefusedCall, l.Call)}
	switch {
	case len(l.Failures) > 0:
		kinds := l.Failures.Kinds()
		attempt.InstanceType = kinds[0].Pool.InstanceType
		r = failure(kinds[0].Class, kinds[0].Message, attempt)
		if pools := kinds[0].Pools(); pools != "any" {
			r.Message = pools + ": " + r.Message
		}
		if more := len(kinds) - 1; more > 0 {
			r.Message += ", and " + why.Count(more, "more failure")
		}
	case l.Refused != "":
		r = failure(l.Class, l.Refused, attempt)
	case l.Call == "SetDesiredCapacity":
		return decision.Reason{Code: decision.CodeLaunching,
			Message: "AWS was asked for " + why.Count(l.Asked, "instance") + " and launches on its own"}, false
	case l.Launched < l.Asked:
		r = decision.Reason{Code: decision.CodeNoCapacity, Message: "AWS launched fewer instances than it was asked for"}
	default:
		return decision.Reason{Code: decision.CodeNone, Message: launched}, false
	}
	if l.Launched > 0 {
		r.Message = launched + ": " + r.Message
	}
	return r, true
}

// failure is the reason of the cool-down after a failed launch, with the launch's own code.
func failure(class awsmessage.Class, message string, attempt why.Attempt) decision.Reason {
	r := why.CoolDown(string(class), message, attempt)
	switch {
	case class == awsmessage.NoCapacity:
		r.Code = decision.CodeNoCapacity
	case class == awsmessage.Throttle:
		r.Code = decision.CodeThrottled
	case r.Code == decision.CodeCoolDown:
		r.Code = decision.CodeUnanswered
	}
	return r
}

// Problem records a problem of a group that has appeared or is mended.
func (c *Collector) Problem(p aws.Problem, mended bool) {
	entry := decision.Entry{Kind: decision.Problem, Group: p.Group, Reason: reasonOf(p)}
	if mended {
		entry.Kind, entry.Reason.Remedy = decision.Mended, ""
	}
	c.Record.Decided(entry)
}

// reasonOf is the problem in the words of the record.
func reasonOf(p aws.Problem) decision.Reason {
	return decision.Reason{Code: cmp.Or(problems[p.Reason], decision.CodeDegraded), Message: p.Message, Remedy: p.Remedy, About: p.About}
}

// problems are the codes of problems by their reason. All others degrade their group.
var problems = map[string]decision.Code{
	ownership.ReasonOtherCluster: decision.CodeOtherCluster, ownership.ReasonOperator: decision.CodeOtherCluster,
	"launch-" + string(awsmessage.Permission): decision.CodeDenied, asg.ReasonLaunchDenied: decision.CodeDenied,
	aws.ReasonNotJoining: decision.CodeNotReady, aws.ReasonMissingDevice: decision.CodeAccelerator,
}

// Draining records that a node is drained because AWS takes it.
func (c *Collector) Draining(node, group, reason string) {
	c.Record.Decided(decision.Entry{Kind: decision.Interrupted, Group: group, Node: node,
		Reason: decision.Reason{Code: decision.CodeInterruption, Message: reason}})
}

// pause is a backoff of the core.
type pause struct {
	until    time.Time
	cause    cloudprovider.InstanceErrorInfo
	unjoined []string               // instances of the group that had no node
	unready  []string               // its young nodes that were not Ready
	launches *launchspec.LaunchSpec // what the group launched
	blocked  bool                   // the group could launch nothing meanwhile
}

// Backoff sees which groups the core leaves alone after a failure, and ends that once the group is mended. It wraps the core's Backoff.
type Backoff struct {
	inner
	*Collector
}

type inner = corebackoff.Backoff

func (c *Collector) NewBackoff(b corebackoff.Backoff) Backoff { return Backoff{b, c} }

// Backoff keeps the pause that lasts longest.
func (b Backoff) Backoff(group cloudprovider.NodeGroup, info *framework.NodeInfo, cause cloudprovider.InstanceErrorInfo, now time.Time) time.Time {
	p := pause{until: b.inner.Backoff(group, info, cause, now), cause: cause}
	for _, id := range slices.Sorted(maps.Keys(b.unjoined)) {
		if b.unjoined[id].group == group.Id() {
			p.unjoined = append(p.unjoined, id)
		}
	}
	if cause.ErrorCode == string(metrics.Timeout) {
		nodes, _ := b.Nodes.List(labels.Everything()) // the lister reads a cache
		within, _ := b.provisionTime(b.Provider.View(), group.Id())
		for _, n := range nodes {
			if b.Provider.NodeGroupName(n) == group.Id() && !b.ready(n) && now.Sub(n.CreationTimestamp.Time) < within {
				p.unready = append(p.unready, n.Name)
			}
		}
	}
	if g := b.Provider.View().Group(group.Id()); g != nil {
		p.launches = g.LaunchSpec
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.until.After(b.pauses[group.Id()].until) {
		b.pauses[group.Id()] = p
	}
	return p.until
}

// BackoffStatus ends the pause of a group that launches something else now, or that could launch nothing and can again.
func (b Backoff) BackoffStatus(group cloudprovider.NodeGroup, info *framework.NodeInfo, now time.Time) corebackoff.Status {
	if b.over(group.Id()) {
		b.RemoveBackoff(group, info)
	}
	return b.inner.BackoffStatus(group, info, now)
}

// over reports whether the cause of a group's pause is gone.
func (b Backoff) over(id string) bool {
	g := b.Provider.View().Group(id)
	b.mu.Lock()
	defer b.mu.Unlock()
	p, paused := b.pauses[id]
	if paused && g != nil && g.Blocked() {
		p.blocked = true
		b.pauses[id] = p
		return false
	}
	return paused && g != nil && (p.blocked || p.launches != nil && !launchspec.SameLaunch(p.launches, g.LaunchSpec))
}

func (b Backoff) RemoveBackoff(group cloudprovider.NodeGroup, info *framework.NodeInfo) {
	b.inner.RemoveBackoff(group, info)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pauses, group.Id())
}

// choice is the expander's, kept within bounds.
type choice struct {
	options []option // the chosen one first
	chosen  bool
	said    string // about the chosen one
	words   func(nodeGroup string) string
}

type option struct {
	group        string
	nodes, count int           // of nodes and pods
	pods         []*corev1.Pod // nil where there are too many in all
}

// maxMembers bounds the pods of options that are kept for one loop. One scale-up has up to as many as groups and pods together.
const maxMembers = 100_000

// Chose keeps the expander's choice. A loop has one for each scale-up.
func (c *Collector) Chose(e expander.Choice) {
	ch := &choice{words: e.Words, options: make([]option, 0, len(e.Options))}
	add := func(id string, nodes int, pods []*corev1.Pod) {
		o := option{group: id, nodes: nodes, count: len(pods)}
		if c.now.members+len(pods) <= maxMembers {
			o.pods = pods
			c.now.members += len(pods)
		}
		ch.options = append(ch.options, o)
	}
	if e.Chosen != nil {
		ch.chosen, ch.said = true, strings.TrimPrefix(e.Chosen.Debug, " | ")
		add(e.Chosen.NodeGroup.Id(), e.Chosen.NodeCount, e.Chosen.Pods)
	}
	for _, o := range e.Options {
		if id := o.NodeGroup.Id(); !ch.chosen || id != ch.options[0].group {
			add(id, o.NodeCount, o.Pods)
		}
	}
	c.now.choices = append(c.now.choices, ch)
}

// raise is a successful scale-up, and the choice behind it.
type raise struct {
	infos  []nodegroupset.ScaleUpInfo
	pods   []*corev1.Pod
	choice *choice // nil for none
}

// groups are the node groups that grew, several where they are balanced.
func (r raise) groups() []string {
	list := make([]string, len(r.infos))
	for at, info := range r.infos {
		list[at] = info.Group.Id()
	}
	return list
}

// raisesOf finds the choices behind the scale-ups of a loop. The choices are in the order of the scale-ups, among the choices of groups that failed.
func raisesOf(parts []*corestatus.ScaleUpStatus, choices []*choice) (list []raise) {
	for _, part := range parts {
		r := raise{infos: part.ScaleUpInfos, pods: part.PodsTriggeredScaleUp}
		groups := r.groups()
		if at := slices.IndexFunc(choices, func(ch *choice) bool { return ch.chosen && slices.Contains(groups, ch.options[0].group) }); at >= 0 {
			r.choice, choices = choices[at], choices[at+1:]
		}
		list = append(list, r)
	}
	return list
}

// grew records the scale-ups of a loop, and for which pods they are.
func (c *Collector) grew(raises []raise) {
	asked := make(map[types.UID][]string)
	for _, pod := range c.now.pending {
		if groups, known := c.asked[pod.UID]; known {
			asked[pod.UID] = groups
		}
	}
	for _, r := range raises {
		cause := "the minimum size"
		if len(r.pods) > 0 {
			cause = why.Count(len(r.pods), "pod")
		} else if r.choice != nil {
			cause = "pods that do not exist yet"
		}
		for _, info := range r.infos {
			text := fmt.Sprintf("%s for %s, from %d to %d", why.Count(info.NewSize-info.CurrentSize, "node"), cause, info.CurrentSize, info.NewSize)
			if ch := r.choice; ch != nil && ch.options[0].group == info.Group.Id() && ch.said != "" {
				text += " (" + ch.said + ")"
			}
			c.Record.Decided(decision.Entry{Kind: decision.ScaleUp, Group: info.Group.Id(), Reason: decision.Reason{Code: decision.CodeLaunching, Message: text}})
		}
		groups := r.groups()
		for _, pod := range r.pods {
			if len(groups) > 0 {
				asked[pod.UID] = groups
			}
		}
	}
	c.asked = asked
}

func removal(n *scaledownstatus.ScaleDownNode, since, now time.Time) string {
	text := "not needed"
	if finite(n.UtilInfo.Utilization) {
		text += fmt.Sprintf(" at a utilization of %.0f %%", n.UtilInfo.Utilization*100)
	}
	if nodemeta.ToGo(n.Node) {
		text = "somebody asked for its removal"
	} else if s, moves := move.StateOf(n.Node); moves {
		text = fmt.Sprintf("replaced (%s: %s)", s.Reason, s.Cause)
	} else if !since.IsZero() {
		text += " for " + decision.Span(now.Sub(since).Round(time.Second))
	}
	if moved := len(n.EvictedPods); moved > 0 {
		text += ", " + why.Count(moved, "pod") + " run elsewhere"
	}
	return text
}
