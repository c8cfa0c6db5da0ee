package doctor

import (
	"context"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
)

// checkRunning asks the running autoscaler, because its credentials and its network may not be the caller's.
func checkRunning(ctx context.Context, in *installation, c *Check) (looked bool) {
	from := in.Running
	from.Namespace = in.namespace
	r, err := running.Read(ctx, from)
	if err != nil {
		c.skip("the report of the running autoscaler", brief(err), "get on pods/proxy in its namespace, or --url after kubectl port-forward")
		return false
	}
	if stale, old := r.Reading.Stale(in.Now()); old {
		c.find("the running autoscaler", stale.Message, "its /status.json", stale.Remedy)
	}
	for _, g := range r.Groups {
		for _, p := range g.Problems {
			if p.Code == decision.CodeAccelerator || p.Code == decision.CodeNotReady {
				c.find("node group "+g.Name, p.Message, "its /status.json", p.Remedy)
			}
		}
	}
	return true
}
