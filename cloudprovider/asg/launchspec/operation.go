package launchspec

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Operation is AWS's own work on the instances of a group. The zero value is none.
type Operation struct {
	Text   string // such as `EKS updates its node group "web"`, "" where it changes no instance any more
	Remedy string // mostly the command that shows its progress
	Ends   bool   // a new instance would go soon
	Bakes  bool   // an instance refresh has replaced all instances, and once it has baked, the group states what they started from
}

const waitFor = "wait for its end: "

// stateOf returns what EKS does with a node group, and what it finds wrong.
func stateOf(n *ekstypes.Nodegroup, key NodegroupKey) (Operation, []Problem) {
	see := fmt.Sprintf("aws eks describe-nodegroup --cluster-name %s --nodegroup-name %s", shellword.Quote(key.Cluster), shellword.Quote(key.Name))
	does := func(verb string, ends bool) Operation {
		return Operation{Text: fmt.Sprintf("EKS %s its node group %q", verb, key.Name), Remedy: waitFor + see, Ends: ends}
	}
	switch n.Status {
	case ekstypes.NodegroupStatusCreating:
		return does("creates", false), nil
	case ekstypes.NodegroupStatusUpdating:
		return does("updates", false), nil
	case ekstypes.NodegroupStatusDeleting:
		return does("deletes", true), nil
	case ekstypes.NodegroupStatusDegraded, ekstypes.NodegroupStatusCreateFailed, ekstypes.NodegroupStatusDeleteFailed:
		issue := ""
		if h := n.Health; h != nil && len(h.Issues) > 0 {
			issue = fmt.Sprintf(": %s: %s", h.Issues[0].Code, aws.ToString(h.Issues[0].Message))
		}
		return Operation{}, []Problem{{Reason: ReasonNodegroupDegraded, Message: fmt.Sprintf("EKS shows its node group %q as %s%s", key.Name, n.Status, issue),
			Remedy: "see all that EKS finds wrong: " + see}}
	}
	return Operation{}, nil
}

// ended has the states of an instance refresh that replaces nothing more, in case one has no time of its end. It bakes once all instances are replaced,
// for up to two days. If it is rolled back then, instances leave, and that is a sign to look again.
var ended = map[types.InstanceRefreshStatus]bool{types.InstanceRefreshStatusSuccessful: true, types.InstanceRefreshStatusFailed: true,
	types.InstanceRefreshStatusCancelled: true, types.InstanceRefreshStatusRollbackFailed: true, types.InstanceRefreshStatusRollbackSuccessful: true,
	types.InstanceRefreshStatusBaking: true}

// refresh returns the last instance refresh of a group while that replaces instances or bakes, or the zero Operation.
func (r *Resolver) refresh(ctx context.Context, group string) (*Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, optionalTimeout)
	defer cancel()
	out, err := r.autoscaling.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String(group),
		MaxRecords: aws.Int32(1)})
	if awsclient.IsDenied(err) && r.refreshesDenied.CompareAndSwap(false, true) {
		klog.FromContext(ctx).Info("Could not see whether an instance refresh replaces instances, so scale-down does not wait for it", "group", group,
			"remedy", "allow autoscaling:DescribeInstanceRefreshes")
	}
	if err != nil {
		return nil, fmt.Errorf("describe instance refreshes: %w", err)
	}
	o := &Operation{}
	for _, last := range out.InstanceRefreshes {
		if last.EndTime == nil && !ended[last.Status] {
			o.Text = fmt.Sprintf("instance refresh %s replaces its instances", aws.ToString(last.InstanceRefreshId))
			o.Remedy = waitFor + "aws autoscaling describe-instance-refreshes --auto-scaling-group-name " + shellword.Quote(group)
		}
		o.Bakes = last.Status == types.InstanceRefreshStatusBaking && last.DesiredConfiguration != nil
	}
	return o, nil
}

// Replaced notes that instances of a group went without us, or that its source or its sizes changed. AWS may be replacing instances, so the next
// Fetch looks for an Operation, and later ones look again for some minutes.
func (r *Resolver) Replaced(group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replaced[group] = r.clock.Now()
}

// Operation returns AWS's own work in the group, by the last look that succeeded. There is none once AWS denies the look, because its end would not show.
func (r *Resolver) Operation(g *Group) Operation {
	if n, err := r.nodegroups.get(g.ManagedNodegroup()); n != nil && !awsclient.IsDenied(err) {
		return n.operation
	}
	if o, err := r.refreshes.get(g.Name); o != nil && !awsclient.IsDenied(err) {
		return *o
	}
	return Operation{}
}

// Repairs reports whether EKS itself repairs the nodes of the group (nodeRepairConfig), by the last look that succeeded.
// Until one has, it may.
func (r *Resolver) Repairs(g *Group) bool {
	key := g.ManagedNodegroup()
	n, _ := r.nodegroups.get(key)
	return key.Name != "" && (n == nil || n.repairs)
}

// wantOperations makes the looks for Operations due: after a sign, then some times more, and for as long as an Operation is under way. It reports
// whether a sign is so new that its look may have to wait for operationPause.
func (r *Resolver) wantOperations(groups []*Group) (fresh bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	maps.DeleteFunc(r.replaced, func(_ string, at time.Time) bool { return now.Sub(at) >= replacedFor })
	for _, g := range groups {
		at, replaced := r.replaced[g.Name]
		if !replaced && r.Operation(g) == (Operation{}) {
			continue
		}
		fresh = fresh || now.Sub(at) < 2*operationPause
		stale := func(readAt time.Time) bool {
			age := now.Sub(readAt)
			return age >= operationInterval || age >= operationPause && !readAt.After(at)
		}
		if key := g.ManagedNodegroup(); key.Name != "" {
			r.nodegroups.expireIf(key, stale)
		} else {
			r.refreshes.want(g.Name)
			r.refreshes.expireIf(g.Name, stale)
		}
	}
	return fresh
}
