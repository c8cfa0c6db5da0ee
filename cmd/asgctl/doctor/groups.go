package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// areaOf returns the check that reports a problem of a group, by its reason.
func areaOf(reason string) string {
	switch nodetemplate.Reason(reason) {
	case ownership.ReasonOtherCluster, ownership.ReasonOperator:
		return "identity"
	case launchspec.ReasonLaunchSuspended, asg.ReasonAZRebalance:
		return "processes"
	case launchspec.ReasonNoInstanceType, nodetemplate.ReasonUnknownType, nodetemplate.ReasonImageMismatch,
		nodetemplate.ReasonMixedTypes, nodetemplate.ReasonWideSpread:
		return "types"
	case "unknown-tag", asg.ReasonZonalTag, nodetemplate.ReasonUnknownKind, nodetemplate.ReasonMisplacedPrefix, nodetemplate.ReasonLabelKey, nodetemplate.ReasonLabelValue,
		nodetemplate.ReasonTaintKey, nodetemplate.ReasonTaintForm, nodetemplate.ReasonTaintEffect, nodetemplate.ReasonTaintValue,
		nodetemplate.ReasonResourceName, nodetemplate.ReasonResourceQuantity, nodetemplate.ReasonUnknownOption, nodetemplate.ReasonOptionValue,
		nodetemplate.ReasonOptionRange, nodetemplate.ReasonConflict, nodetemplate.ReasonPinnedZone:
		return "tags"
	}
	return "groups"
}

// problems reports the problems of all groups that belong to the check, in the words of asgctl groups.
func (in *installation) problems(c *Check) {
	for _, g := range in.groups.value.Groups {
		if in.foreign(g) && c.Name != "identity" {
			continue
		}
		for _, p := range in.groups.value.Problems(g) {
			if areaOf(p.Reason) != c.Name || p.Reason == asg.ReasonAZRebalance && rebalanced(g) != "" {
				continue
			}
			c.find(quoted(g), p.Message, "asgctl groups: the problem "+p.Reason, cmp.Or(p.Remedy, "asgctl template "+shellword.Quote(g.Name)))
		}
	}
}

func checkGroups(_ context.Context, in *installation, c *Check) (looked bool) {
	for _, name := range in.groups.value.Absent {
		c.find(fmt.Sprintf("Auto Scaling group %q", name), "--nodes names it, and there is no such group", "DescribeAutoScalingGroups in "+in.region,
			"aws autoscaling describe-auto-scaling-groups --query 'AutoScalingGroups[].AutoScalingGroupName'")
	}
	if in.nameless {
		c.find("discovery", "no flag of the autoscaler selects groups, and it does not know the name of this cluster, so that nothing is scaled",
			fmt.Sprintf("the flags of pod %s/%s, and no CLUSTER_NAME in the DaemonSet kube-system/aws-node", in.ours.Namespace, in.ours.Name),
			"start the autoscaler with --asg-cluster-name=NAME, or with --node-group-auto-discovery")
	} else if len(in.groups.value.Groups)+len(in.groups.value.Absent) == 0 && !in.skipHidden(c) {
		c.find("discovery", "no Auto Scaling group matches the discovery flags, so that nothing is scaled", "DescribeAutoScalingGroups in "+in.region,
			"aws autoscaling describe-tags --filters Name=key,Values="+shellword.Quote(in.wantedKeys()))
	}
	if in.groups.value.Unlooked != nil {
		c.skip("instance types that the built-in list lacks", brief(in.groups.value.Unlooked), "ec2:DescribeInstanceTypes")
	}
	return len(in.groups.value.Groups) > 0 || !in.hidden
}

func checkIdentity(_ context.Context, in *installation, c *Check) (looked bool) {
	instances, names := 0, []string(nil)
	in.eachGroup(func(g *group.Group) {
		instances += len(g.Instances)
		for _, s := range g.Stated {
			names = append(names, s.Cluster)
		}
	})
	if n := in.elsewhere; n != nil && len(in.nodes.value) == 0 && instances > 0 {
		c.find("node "+n.Name, "no node has a provider ID of EC2, so the autoscaler takes none for a group's and removes none",
			fmt.Sprintf("its provider ID is %q", n.Spec.ProviderID), nodemeta.RemedyProviderID)
	}
	if in.groups.value.Cluster.Cluster != "" {
		return true
	}
	if names = slices.Compact(slices.Sorted(slices.Values(names))); len(names) > 1 {
		c.find("this cluster", fmt.Sprintf("its name is not known, and groups state %s: no instance that did not become a node is terminated in them", why.Count(len(names), "cluster")),
			fmt.Sprintf("the statements of the groups: %.200q", names), "asgctl groups, then start the autoscaler with --asg-cluster-name=NAME")
	}
	return true
}

// checkLimits judges the limits of groups by the pods that wait.
func checkLimits(_ context.Context, in *installation, c *Check) (looked bool) {
	if in.pods.missing(c) {
		return false
	}
	in.eachGroup(func(g *group.Group) {
		waiting := in.pods.value.waiting
		switch {
		case g.Room() <= 0 && g.MaxSize > 0 && waiting > 0:
			c.find(quoted(g), fmt.Sprintf("its maximum size of %d may keep %s waiting", g.MaxSize, why.Count(waiting, "pod")),
				fmt.Sprintf("capacity %d, and the pod %s is unschedulable", g.Held(), in.pods.value.waits), in.resize(g, 2*g.MaxSize))
		case g.MaxSize == g.MinSize && len(g.Timed) == 0:
			c.find(quoted(g), fmt.Sprintf("its minimum and maximum are both %d, so that it is never scaled", g.MaxSize), "MinSize and MaxSize of DescribeAutoScalingGroups",
				in.resize(g, max(2*g.MaxSize, 1)))
		}
	})
	return true
}

// resize is the step that raises the maximum that the group has reached.
func (in *installation) resize(g *group.Group, to int) string {
	limited := &decision.Group{AutoScaling: g.Name}
	if n := decision.Nodegroup(g.ManagedNodegroup()); n.Name != "" {
		limited.EKS = &n
	}
	var limits []decision.Limit
	for _, l := range g.AtMax(g) {
		limits = append(limits, decision.Limit{Flag: l.Flag, Clock: l.Clock, Size: l.Size, Needs: to})
	}
	return why.Resize(limited, "max", limits)
}

func checkProcesses(ctx context.Context, in *installation, c *Check) (looked bool) {
	in.eachGroup(func(g *group.Group) {
		if g.Suspended(group.ProcessTerminate) {
			c.find(quoted(g), "its process Terminate is suspended, so that unneeded nodes stay", "SuspendedProcesses of DescribeAutoScalingGroups",
				processCommand("resume", g, group.ProcessTerminate))
		}
		if evidence := rebalanced(g); evidence != "" {
			c.find(quoted(g), fmt.Sprintf("its process AZRebalance runs over %s: AWS terminates nodes there without a drain, to balance zones", why.Count(len(g.Zones), "zone")),
				"no suspended AZRebalance in DescribeAutoScalingGroups, and "+evidence, processCommand("suspend", g, group.ProcessRebalance))
		}
		in.checkMix(ctx, c, g)
	})
	return true
}

func processCommand(verb string, g *group.Group, process string) string {
	return fmt.Sprintf("aws autoscaling %s-processes --auto-scaling-group-name %s --scaling-processes %s", verb, shellword.Quote(g.Name), process)
}

// rebalanced returns the evidence that AWS may terminate the group's instances to balance its zones, or "".
func rebalanced(g *group.Group) string {
	if len(g.Zones) < 2 || g.Suspended(group.ProcessRebalance) {
		return ""
	}
	_, evidence := unprotected(g)
	return evidence
}

// unprotected returns the evidence that AWS may terminate an instance of the group by its own choice, or "", and the instances in service
// that it may terminate.
func unprotected(g *group.Group) (ids []string, evidence string) {
	for _, i := range g.Instances {
		if !i.Protected && i.Lifecycle == "InService" {
			ids = append(ids, i.ID)
		}
	}
	switch {
	case !g.ProtectsNewInstances:
		evidence = "NewInstancesProtectedFromScaleIn is false"
	case len(ids) > 0:
		evidence = "instance " + ids[0] + " has no scale-in protection"
	}
	return ids, evidence
}

// mostProtected is the number of instances that one SetInstanceProtection takes (EC2 Auto Scaling API reference, read 2026-11).
const mostProtected = 50

// checkMix finds a group in which AWS restores the share of on-demand instances at the cost of others (kubernetes/autoscaler#6787,
// kubernetes/kops#7173). Any hook on termination passes, because another tool's may drain the node, too.
func (in *installation) checkMix(ctx context.Context, c *Check, g *group.Group) {
	ids, evidence := unprotected(g)
	mixes := g.Source.Mixed && g.CapacityType() == "" && g.Source.OnDemandBase < g.AWSMax
	if evidence == "" || !mixes || g.Suspended(group.ProcessTerminate) {
		return
	}
	out, err := in.clients.AutoScaling.DescribeLifecycleHooks(ctx, &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &g.Name})
	if err != nil {
		c.skip("the lifecycle hooks of "+quoted(g), brief(err), "autoscaling:DescribeLifecycleHooks")
		return
	}
	for _, hook := range out.LifecycleHooks {
		if aws.ToString(hook.LifecycleTransition) == "autoscaling:EC2_INSTANCE_TERMINATING" {
			return
		}
	}
	var steps []string
	named := " --auto-scaling-group-name " + shellword.Quote(g.Name)
	if !g.ProtectsNewInstances {
		steps = append(steps, "aws autoscaling update-auto-scaling-group"+named+" --new-instances-protected-from-scale-in")
	}
	if len(ids) > 0 {
		steps = append(steps, "aws autoscaling set-instance-protection"+named+" --protected-from-scale-in --instance-ids "+
			strings.Join(ids[:min(len(ids), mostProtected)], " "))
	}
	c.find(quoted(g), "it mixes on-demand and spot instances: to restore their share after a removal, AWS may launch a node of one kind "+
		"and terminate one of the other without a drain", evidence+", and no lifecycle hook on termination in DescribeLifecycleHooks",
		strings.Join(steps, " && "))
}
