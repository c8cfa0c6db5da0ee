package aws

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

const ReasonMissingDevice = "accelerator-missing"

// missingDevice is a resource that the nodes of an Auto Scaling group came up without, although it promises it.
type missingDevice struct {
	resource corev1.ResourceName
	node     string                 // the last of them
	launch   *launchspec.LaunchSpec // of those nodes
	until    time.Time              // no node is launched for the resource before
}

// SetMissing notes that nodes of an Auto Scaling group came up without a resource, the last of them, and until when no node is launched for it. An empty
// resource ends that, because a node has shown it.
func (p *Provider) SetMissing(group string, resource corev1.ResourceName, node string, until time.Time) {
	p.changing.Lock()
	defer p.changing.Unlock()
	delete(p.missing, group)
	if g := p.View().AutoScalingGroup(group); g != nil && resource != "" {
		p.missing[group] = missingDevice{resource, node, g.LaunchSpec, until}
	}
	p.anew = true
}

// Withheld returns the resource for which no node of an Auto Scaling group is launched now, or "".
func (p *Provider) Withheld(group string) corev1.ResourceName {
	p.changing.Lock()
	defer p.changing.Unlock()
	if m := p.missing[group]; p.clock.Now().Before(m.until) {
		return m.resource
	}
	return ""
}

// withoutDevices returns the groups whose nodes came up without a device, as long as they launch such nodes.
func (p *Provider) withoutDevices(v *View) (found []Problem) {
	for group, m := range p.missing {
		waits := p.clock.Now().Before(m.until)
		if g := v.snapshot.Group(group); g == nil || g.LaunchSpec != m.launch || !waits && len(g.Instances) == 0 {
			delete(p.missing, group)
			continue
		}
		try := ""
		if waits {
			try = ", next try at " + m.until.UTC().Format("15:04:05 UTC")
		}
		found = append(found, Problem{Group: group, Reason: ReasonMissingDevice, About: string(m.resource),
			Message: fmt.Sprintf("Auto Scaling group %q: its nodes came up without %s (the last one was %s%s)", group, m.resource, m.node, try),
			Remedy: "see whether the vendor's device plugin runs on such nodes, and install it if it is missing: kubectl get daemonsets --all-namespaces\n" +
				"if it is there: see that it selects these nodes and tolerates their taints, and that their AMI has the driver\n" +
				"once it runs, restart the autoscaler: it then tries the group at once"})
	}
	return found
}
