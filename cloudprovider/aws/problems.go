package aws

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// finding is one problem of one group. It is reported once, and again only after it disappeared.
type finding struct {
	group   string
	reason  string // out of a small set
	message string // one sentence with problem, cause and remedy
}

// findings returns the problems of all groups.
func (v *View) findings() []finding {
	var found []finding
	say := func(g *asg.Group, problems []launchspec.Problem) {
		for _, p := range problems {
			found = append(found, finding{group: g.Name, reason: p.Reason,
				message: "Auto Scaling group \"" + g.Name + "\": " + p.Message + "; to mend it, " + p.Remedy})
		}
	}
	for _, g := range v.snapshot.Foreign() {
		say(g, g.Problems)
	}
	for _, ng := range v.nodeGroups {
		g := v.groups[ng.Id()]
		say(g, g.Problems)
		say(g, v.refused[ng.Id()])
		t := v.templates[ng.Id()]
		if t == nil || len(g.Problems) > 0 && (g.LaunchSpec == nil || len(g.LaunchSpec.Types) == 0) {
			continue // the group's own problems say that it cannot be launched
		}
		for _, p := range t.Problems {
			found = append(found, finding{group: g.Name, reason: string(p.Reason), message: p.String()})
		}
	}
	return found
}

// refusedLaunches returns the groups in which AWS launches nothing until somebody changes something. A lack of capacity is none of them.
func (p *Provider) refusedLaunches(v *View) []finding {
	var found []finding
	for _, ng := range v.nodeGroups {
		g := v.groups[ng.Id()]
		rest, cooling := p.CoolDown(g)
		if !cooling || rest.Class == awsmessage.NoCapacity || rest.Class == awsmessage.Transient ||
			rest.Class == cooldown.ZonalShift || g.Blocked() {
			continue
		}
		found = append(found, finding{group: g.Name, reason: "launch-" + string(rest.Class),
			message: fmt.Sprintf("Auto Scaling group %q: AWS refused to launch (%s): %s", g.Name, rest.Class, rest.Message)})
	}
	return found
}

// fallbacks returns the groups that use an older call of Auto Scaling because AWS does not answer the newer one. A finding without a group
// concerns all groups.
func (p *Provider) fallbacks() []finding {
	var found []finding
	for _, d := range p.cache.Fallbacks() {
		subject := "All Auto Scaling groups"
		if d.Group != "" {
			subject = fmt.Sprintf("Auto Scaling group %q", d.Group)
		}
		found = append(found, finding{group: d.Group, reason: d.Reason, message: subject + ": " + d.Message + "; to mend it, " + d.Remedy})
	}
	return found
}

// reporter publishes findings as they appear and disappear. One goroutine uses it.
type reporter struct {
	current map[finding]bool
	gauge   *prometheus.GaugeVec
	event   func(eventType, reason, message string)
}

func newReporter(event func(eventType, reason, message string)) *reporter {
	return &reporter{current: map[finding]bool{}, event: event, gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "cluster_autoscaler", Name: "aws_node_group_problems",
		Help: "What is wrong with a node group at the moment, by reason: malformed tags, a missing launch template, an unknown instance type.",
	}, []string{"node_group", "reason"})}
}

// report compares the findings with the last ones. It logs and publishes new ones and sets the metric.
func (r *reporter) report(ctx context.Context, found []finding) {
	now := make(map[finding]bool, len(found))
	counts := map[[2]string]int{}
	for _, f := range found {
		if now[f] {
			continue
		}
		now[f] = true
		counts[[2]string{f.group, f.reason}]++
		if r.current[f] {
			continue
		}
		// klog has warnings in this form only.
		klog.Warningf("Node group problem %s: %s", f.reason, f.message)
		if r.event != nil {
			r.event(corev1.EventTypeWarning, "NodeGroupProblem", f.message)
		}
	}
	for labels, count := range counts {
		r.gauge.WithLabelValues(labels[0], labels[1]).Set(float64(count))
	}
	for f := range r.current {
		if counts[[2]string{f.group, f.reason}] == 0 {
			r.gauge.DeleteLabelValues(f.group, f.reason)
		}
		if !now[f] {
			klog.FromContext(ctx).Info("Node group problem is gone", "nodeGroup", f.group, "problem", f.reason)
		}
	}
	r.current = now
}
