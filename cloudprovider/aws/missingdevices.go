package aws

import (
	"fmt"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

const ReasonMissingDevice = "accelerator-missing"

// missingDevices are resources that the nodes of an Auto Scaling group came up without, although it promises them.
type missingDevices struct {
	resources []string
	node      string                 // the last of them
	launch    *launchspec.LaunchSpec // of those nodes
	until     time.Time              // no node is launched for the resources before
}

// SetMissing notes that nodes of an Auto Scaling group came up without resources, the last of them, and until when no node is launched for
// these. No resources end that, because a node has shown them.
func (p *Provider) SetMissing(group string, resources []string, node string, until time.Time) {
	p.changing.Lock()
	defer p.changing.Unlock()
	delete(p.missing, group)
	if g := p.View().AutoScalingGroup(group); g != nil && len(resources) > 0 {
		p.missing[group] = missingDevices{resources, node, g.LaunchSpec, until}
	}
	p.anew = true
}

// Withheld returns the resources for which no node of an Auto Scaling group is launched now.
func (p *Provider) Withheld(group string) []string {
	p.changing.Lock()
	defer p.changing.Unlock()
	if m := p.missing[group]; p.clock.Now().Before(m.until) {
		return m.resources
	}
	return nil
}

// withoutDevices returns the groups whose nodes came up without a device, as long as they launch such nodes.
func (p *Provider) withoutDevices(v *View) (found []Problem) {
	for group, m := range p.missing {
		waits := p.clock.Now().Before(m.until)
		if g := v.snapshot.Group(group); g == nil || !launchspec.SameLaunch(g.LaunchSpec, m.launch) || !waits && len(g.Instances) == 0 {
			delete(p.missing, group)
			continue
		}
		try := ""
		if waits {
			try = ", next try at " + m.until.UTC().Format("15:04:05 UTC")
		}
		all := strings.Join(m.resources, ", ")
		found = append(found, Problem{Group: group, Reason: ReasonMissingDevice, About: all,
			Message: fmt.Sprintf("Auto Scaling group %q: its nodes came up without %s (the last one was %s%s)", group, all, m.node, try),
			Remedy: "see whether the vendor's device plugin runs on such nodes, and install it if it is missing: kubectl get daemonsets --all-namespaces\n" +
				"if it is there: see that it selects these nodes and tolerates their taints, and that their AMI has the driver\n" +
				"once it runs, restart the autoscaler: it then tries the group at once"})
	}
	return found
}
