package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
)

type Options struct {
	// Read selects the groups as the autoscaler's flags of the same names do. Flags that are not given are taken from the autoscaler's pod.
	Read source.Options
	// Queue is the value of --asg-interruption-queue, or "" for the pod's.
	Queue string
	// Running selects the cluster and the autoscaler, and Account is the autoscaler's ServiceAccount. Without it or the namespace, the one in whose
	// pod this process runs counts, or the only autoscaler in the cluster, or else the names of the shipped manifests.
	Running running.Options
	Account string
	// Skip names checks to leave out.
	Skip []string
	// Timeout bounds all calls together.
	Timeout time.Duration
	// Now is the clock of this machine.
	Now func() time.Time
}

// A check judges one kind of facts. run adds to the Check, and reports whether it could look at anything. A check of groups first reports
// their problems of its area, and can look at nothing where the groups are not known.
type check struct {
	name, subject string
	groups        bool
	run           func(context.Context, *installation, *Check) (looked bool)
}

// checks are all checks, in the order of the report and of docs/asgctl.md.
var checks = []check{
	{"running", "what the running autoscaler says of its readings of AWS and of missing accelerators", false, checkRunning},
	{"iam", "each action of the shipped policy, by a harmless call", false, checkIAM},
	{"ownership", "the tag by which the shipped policy lets the autoscaler change a group", true, checkOwnership},
	{"rbac", "each rule of the shipped roles, for the autoscaler's ServiceAccount", false, checkRBAC},
	{"tags", "tags that are malformed or missing", true, checkTags},
	{"identity", "groups of other clusters, and the name of this one", true, checkIdentity},
	{"groups", "launch templates, images and user data of the groups", true, checkGroups},
	{"processes", "suspended processes, AZRebalance and scale-in protection", true, checkProcesses},
	{"limits", "minimum and maximum sizes beside the pods that run and wait", true, checkLimits},
	{"types", "instance types without known facts, or that differ much", true, nil},
	{"accelerators", "device plugins, and nodes that lack the accelerator of their group", true, checkAccelerators},
	{"queue", "the queue of interruptions and its rules", false, checkQueue},
	{"rivals", "other autoscalers, and Karpenter", false, checkRivals},
}

func Names() (names []string) {
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// Run reads the installation and judges it. It blocks for at most the Timeout. The error is about the Options, a source.WrongUse, or says that
// nothing can be read, or that ctx was cancelled.
func Run(ctx context.Context, o Options) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	in, err := read(ctx, o)
	if err != nil {
		return nil, err
	}
	r := &Report{Version: show.Version, At: o.Now().UTC(), Region: in.region}
	if in.groups.err == nil && in.groups.value.Cluster.Cluster != "" {
		r.Cluster = in.groups.value.Cluster.String()
	}
	for _, c := range checks {
		if slices.Contains(o.Skip, c.name) {
			continue
		}
		result := Check{Name: c.name, Subject: c.subject, Outcome: NotChecked, region: in.region}
		looked := !c.groups || !in.groups.missing(&result)
		if looked && c.groups {
			in.problems(&result)
		}
		if looked && c.run != nil {
			looked = c.run(ctx, in, &result)
		}
		switch {
		case len(result.Findings) > 0:
			result.Outcome = Faulty
		case looked:
			result.Outcome = Sound
		}
		r.Findings += len(result.Findings) + result.Omitted
		r.Checks = append(r.Checks, result)
	}
	if errors.Is(ctx.Err(), context.Canceled) { // calls that it cut off are no findings
		return nil, ctx.Err()
	}
	if in.account.err != nil && in.kubeErr != nil && r.Findings == 0 {
		return nil, fmt.Errorf("neither AWS nor a cluster can be read: AWS: %v, cluster: %v", in.account.err, in.kubeErr)
	}
	return r, nil
}
