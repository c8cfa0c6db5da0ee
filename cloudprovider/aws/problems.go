package aws

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Problem is something wrong with a group. It is reported once, and again only after it disappeared. It is comparable.
type Problem struct {
	Group   string // name of the Auto Scaling group, "" for all groups
	Reason  string // out of a small set
	About   string // the tag's key or the resources, "" where the Reason says enough
	Message string // one sentence with problem and cause
	Remedy  string // the next step, may be empty

	ZoneGroup string // ID of the one zone group that it is about, "" for the whole group

	lapses bool // it ends by the clock, mended or not
}

// String is one sentence with problem, cause and remedy.
func (p Problem) String() string {
	if p.Remedy == "" {
		return p.Message
	}
	return p.Message + "; to mend it, " + p.Remedy
}

// Problems returns the problems of all groups. The caller must not change them.
func (p *Provider) Problems() []Problem { return *p.problems.shown.Load() }

func (v *View) findings() (found []Problem) {
	say := func(g *group.Group, problems []launchspec.Problem) {
		for _, p := range problems {
			found = append(found, v.problem(g, p))
		}
	}
	for _, g := range v.snapshot.Foreign() {
		say(g, g.Problems)
	}
	last := ""
	for _, ng := range v.nodeGroups {
		g := v.groups[ng.Id()]
		say(g, g.Problems)
		say(g, v.zones[g.Name])
		if g.Name != last { // zone groups of one group follow each other
			say(g, slices.Concat(g.TagProblems(), move.Problems(g)))
		}
		last = g.Name
		found = append(found, v.ofTemplate(ng.Id())...)
	}
	return found
}

func (v *View) problem(g *group.Group, p launchspec.Problem) Problem {
	found := Problem{Group: g.Name, Reason: p.Reason, Message: "Auto Scaling group \"" + g.Name + "\": " + p.Message, Remedy: shellword.InRegion(v.region, p.Remedy)}
	if p.Reason == reasonNotOffered {
		found.ZoneGroup = g.ID()
	}
	return found
}

func (v *View) ofTemplate(id string) (found []Problem) {
	g, t := v.groups[id], v.templates[id]
	if t == nil || g.LaunchSpec == nil || len(g.Problems) > 0 && len(g.LaunchSpec.Types) == 0 {
		return nil // it has not been read yet, or the group's own problems say that it cannot be launched
	}
	for _, p := range t.Problems {
		found = append(found, Problem{Group: g.Name, Reason: string(p.Reason), About: p.Key, Message: p.String(), Remedy: shellword.InRegion(v.region, p.Remedy())})
	}
	return found
}

// Hindrances returns the problems because of which the node group itself launches nothing, or nothing is known of its nodes.
func (v *View) Hindrances(id string) (found []Problem) {
	g := v.groups[id]
	for _, p := range g.Problems {
		if p.Blocks {
			found = append(found, v.problem(g, p))
		}
	}
	return append(found, v.ofTemplate(id)...)
}

// refused returns the groups in which AWS launches or terminates nothing until somebody changes something. A lack of capacity is none of them. A
// group stays for some time after its cool-down or pause, so that the next try comes before the problem ends, also where a node is drained first.
func (p *Provider) refused(v *View) (found []Problem) {
	for _, ng := range v.nodeGroups {
		g := v.groups[ng.Id()]
		if d := g.Denied; d.Operation.Text != "" && p.clock.Now().Before(d.Until.Add(45*time.Minute)) {
			denied := v.problem(g, launchspec.Problem{Reason: "termination-denied", Message: d.Operation.Text, Remedy: d.Operation.Remedy})
			denied.lapses = true
			found = append(found, denied)
		}
		coolDown, refused := p.cache.Refused(g)
		if !refused || coolDown.Class == awsmessage.NoCapacity || coolDown.Class == awsmessage.Transient || g.Blocked() {
			continue
		}
		cause := why.CoolDown(string(coolDown.Class), coolDown.Message,
			why.Attempt{Group: &decision.Group{AutoScaling: g.Name}, InstanceType: coolDown.InstanceType})
		zoneGroup := ""
		if g.Zone != "" && coolDown.Zone != "" {
			zoneGroup, cause.Message = g.ID(), "in zone "+g.Zone+", "+cause.Message
		}
		problem := v.problem(g, launchspec.Problem{Reason: "launch-" + string(coolDown.Class), Message: cause.Message, Remedy: cause.Remedy})
		problem.ZoneGroup, problem.lapses = zoneGroup, true
		found = append(found, problem)
	}
	return found
}

// fallbacks returns the groups that use an older call of Auto Scaling because AWS denies the newer one or does not answer it. A finding without a
// group concerns all groups. A denial that keeps a group from being scaled zone by zone is a finding of its zones.
func (p *Provider) fallbacks(v *View) (found []Problem) {
	for _, d := range p.cache.Fallbacks() {
		if d.Reason == asg.ReasonLaunchDenied && slices.ContainsFunc(v.zones[d.Group], func(q launchspec.Problem) bool { return q.Reason == asg.ReasonNotZonal }) {
			continue
		}
		subject := "All Auto Scaling groups"
		if d.Group != "" {
			subject = fmt.Sprintf("Auto Scaling group %q", d.Group)
		}
		found = append(found, Problem{Group: d.Group, Reason: d.Reason, Message: subject + ": " + d.Message, Remedy: shellword.InRegion(v.region, d.Remedy), lapses: true})
	}
	return found
}

// reporter publishes findings as they appear and disappear. One goroutine uses it, but any may read shown.
type reporter struct {
	current map[Problem]bool
	shown   atomic.Pointer[[]Problem]
	changed func(p Problem, solved bool)
	gauge   *prometheus.GaugeVec
	event   func(eventType, reason, message string)
}

func newReporter(event func(eventType, reason, message string), changed func(Problem, bool)) *reporter {
	r := &reporter{current: map[Problem]bool{}, event: event, changed: changed, gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "asg_autoscaler", Name: "node_group_problems",
		Help: "What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.",
	}, []string{"node_group", "reason"})}
	r.shown.Store(&[]Problem{})
	return r
}

// report compares the findings of a view with the last ones. It logs and publishes new ones and sets the metric.
func (r *reporter) report(ctx context.Context, found []Problem, v *View) {
	now := make(map[Problem]bool, len(found))
	counts := map[[2]string]int{}
	shown := make([]Problem, 0, len(found))
	for _, f := range found {
		if now[f] {
			continue
		}
		now[f] = true
		shown = append(shown, f)
		counts[[2]string{f.Group, f.Reason}]++
		if r.current[f] {
			continue
		}
		// klog has warnings in this form only.
		klog.Warningf("Node group problem %s: %s", f.Reason, f)
		r.event(corev1.EventTypeWarning, "NodeGroupProblem", f.String())
		r.changed(f, false)
	}
	for labels, count := range counts {
		r.gauge.WithLabelValues(labels[0], labels[1]).Set(float64(count))
	}
	for f := range r.current {
		if counts[[2]string{f.Group, f.Reason}] == 0 {
			r.gauge.DeleteLabelValues(f.Group, f.Reason)
		}
		if !now[f] {
			klog.FromContext(ctx).Info("Node group problem is gone", "nodeGroup", f.Group, "problem", f.Reason)
			reworded := counts[[2]string{f.Group, f.Reason}] > 0
			// A dropped group is forgotten.
			forgotten := f.Reason == ownership.ReasonDropped && v.AutoScalingGroup(f.Group) == nil
			if !reworded && !forgotten && !f.lapses {
				r.changed(f, true)
			}
		}
	}
	r.current = now
	r.shown.Store(&shown)
}

// watchAge reports the actions that the age of the reading forbids, if they changed.
func (p *Provider) watchAge() {
	now := ""
	switch {
	case p.TooOldToAdd():
		now = "no node is added or removed"
	case p.TooOldToRemove():
		now = "no node is removed"
	}
	if now == p.tooOld {
		return
	}
	p.tooOld = now
	if now == "" {
		klog.FromContext(p.ctx).Info("The Auto Scaling groups have been read again, nodes are added and removed as before")
		return
	}
	message := fmt.Sprintf("The Auto Scaling groups have not been read for %s: %s until AWS answers; "+
		"check the endpoint, the credentials and autoscaling:DescribeAutoScalingGroups", decision.Span(p.cache.Age().Round(time.Second)), now)
	klog.Warning(message)
	p.problems.event(corev1.EventTypeWarning, "ReadingTooOld", message)
}
