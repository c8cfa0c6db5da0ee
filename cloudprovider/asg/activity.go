package asg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

const (
	// firstLook is how long AWS may take over a request before its activities are looked at: a launch that succeeds is in
	// the group sooner. The pause doubles from look to look, up to slowestLook.
	firstLook   = 3 * time.Second
	slowestLook = 30 * time.Second
	// lookTimeout is short: what one group's activities tell is not worth more.
	lookTimeout = 10 * time.Second
	// movedTimeout is shorter still: a desired capacity that was set too low has AWS end instances within seconds.
	movedTimeout = 2 * time.Second
	// maxActivities is enough to see the newest attempt in every pool; AWS lists the newest first.
	maxActivities = 20
	// activitiesPerCall is the largest page (EC2 Auto Scaling API reference, DescribeScalingActivities, MaxRecords), and maxActivityPages how many
	// are read at most to find out which instances have gone lately.
	activitiesPerCall = 100
	maxActivityPages  = 10
	// maxMessage bounds what we keep of AWS's text.
	maxMessage = 500
)

// readFailures looks up why requests of ours stay unfulfilled: one call per group that waits, several at a time.
func (c *Cache) readFailures(ctx context.Context) {
	due := c.failuresDue()
	names := slices.Sorted(maps.Keys(due))
	each(len(names), func(i int) {
		failure, err := c.launchFailure(ctx, names[i], due[names[i]])
		switch {
		case ctx.Err() != nil:
		case err != nil:
			c.lookFailed(ctx, names[i], err)
		case failure != nil:
			c.failed(ctx, names[i], failure)
		}
	})
}

// failuresDue returns the groups whose request has waited long enough to ask AWS why, with the time since when it waits.
func (c *Cache) failuresDue() map[string]time.Time {
	now := c.clock.Now()
	due := map[string]time.Time{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, e := range c.entries {
		r := &e.request
		if r.instances == 0 || now.Before(r.lookDue) || c.identity.foreign(e.group) {
			continue
		}
		r.lookDue = now.Add(min(firstLook<<min(r.looks, 10), slowestLook))
		r.lookedAt = now
		r.looks++
		due[name] = r.since
	}
	return due
}

// lookFailed says once that a group's activities cannot be seen.
func (c *Cache) lookFailed(ctx context.Context, name string, err error) {
	news := false
	c.update(name, func(e *entry, _ *Group) { news, e.request.lookFailed = !e.request.lookFailed, true })
	if news {
		klog.FromContext(ctx).Info("Could not see why AWS does not launch what we asked for", "group", name, "err", awsclient.Brief(err),
			"remedy", "allow autoscaling:DescribeScalingActivities; until then such a request waits for --max-node-provision-time")
	}
}

// failed enters a launch failure, and wakes the core when it is news.
func (c *Cache) failed(ctx context.Context, name string, failure *LaunchFailure) {
	news := false
	c.update(name, func(e *entry, g *Group) {
		news = e.request.failure == nil && e.request.instances > 0
		e.request.failure = failure
		e.request.settle(g)
	})
	if !news {
		return
	}
	_, g := c.entry(name)
	c.rests.fail(name, failure.meaning(g), failure.Message)
	klog.FromContext(ctx).Info("AWS could not launch what we asked for", "group", name, "code", failure.Code, "message", failure.Message)
	c.launches.suspect(name)
	signal(c.changed)
	signal(c.resolve)
}

// launchFailure returns the newest failed launch of the group that began after since, or nil.
func (c *Cache) launchFailure(ctx context.Context, name string, since time.Time) (*LaunchFailure, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	out, err := c.api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(maxActivities),
	})
	if err != nil {
		return nil, fmt.Errorf("describe scaling activities of %q: %w", name, err)
	}
	for _, a := range out.Activities {
		begun := aws.ToTime(a.StartTime)
		// AWS states whole seconds.
		if begun.Before(since.Truncate(time.Second)) {
			continue
		}
		if a.StatusCode == types.ScalingActivityStatusCodeFailed && strings.HasPrefix(aws.ToString(a.Description), "Launching") {
			message := aws.ToString(a.StatusMessage)
			return failureFrom(message, begun), nil
		}
	}
	return nil, nil
}

// ended are the instances of the group that AWS began to end since a moment of its clock, and when, as far as its newest activities
// show.
func (c *Cache) ended(ctx context.Context, name string, since time.Time) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	ended := map[string]time.Time{}
	in := &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: aws.String(name), MaxRecords: aws.Int32(activitiesPerCall)}
	pages := autoscaling.NewDescribeScalingActivitiesPaginator(c.api, in)
	for n := 0; pages.HasMorePages() && n < maxActivityPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe scaling activities of %q: %w", name, err)
		}
		for _, a := range page.Activities {
			began := aws.ToTime(a.StartTime)
			if began.Before(since) && a.EndTime != nil {
				return ended, nil // the newest come first, after those in progress
			}
			if began.Before(since) {
				continue
			}
			if id, ok := strings.CutPrefix(aws.ToString(a.Description), "Terminating EC2 instance: "); ok {
				id, _, _ = strings.Cut(id, " ")
				ended[id] = began
			}
		}
	}
	return ended, nil
}

// moved is the capacity of instances that AWS launched since a moment to even out zones, or in place of instances at risk, and that
// are still one too many: it has not ended another for them. It is 0 where AWS does not say. It costs a call.
func (c *Cache) moved(ctx context.Context, g *Group, since time.Time) int {
	ctx, cancel := context.WithTimeout(ctx, movedTimeout)
	defer cancel()
	out, err := c.api.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: aws.String(g.Name), MaxRecords: aws.Int32(activitiesPerCall)})
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Could not see whether AWS moves instances", "group", g.Name, "err", awsclient.Brief(err))
		return 0
	}
	capacity := 0
	for _, a := range out.Activities {
		// Such as "instances were launched to balance instances in zones", "unbalanced", "rebalance recommendation". A raise of the desired
		// capacity has no such word.
		if aws.ToTime(a.StartTime).Before(since.Truncate(time.Second)) || !strings.Contains(aws.ToString(a.Cause), "balanc") {
			continue
		}
		what := aws.ToString(a.Description)
		if id, ok := strings.CutPrefix(what, "Launching a new EC2 instance: "); ok {
			id, _, _ = strings.Cut(id, " ")
			for _, i := range g.Counted() {
				if i.ID == id {
					capacity += i.Weight
				}
			}
		} else if strings.HasPrefix(what, "Terminating") {
			capacity -= g.Source.maxWeight()
		}
	}
	return max(0, capacity)
}

// failureFrom reads the status message of a failed activity, such as "Could not launch Spot Instances.
// InsufficientInstanceCapacity - There is no Spot capacity available that matches your request."
func failureFrom(message string, at time.Time) *LaunchFailure {
	m := awsmessage.Of("", message)
	f := &LaunchFailure{At: at, Code: m.Code, Message: bounded(message), Class: m.Class,
		Pool: Pool{InstanceType: m.InstanceType, Zone: m.Zone, CapacityType: m.CapacityType}}
	if f.Code == "" {
		f.Code = codeless[m.Class]
	}
	if f.Code == "" {
		f.Code = "LaunchFailed"
	}
	return f
}

// codeless are the codes that stand for the messages in which AWS gives none.
var codeless = map[awsmessage.Class]string{
	awsmessage.NoCapacity:    "InsufficientInstanceCapacity",
	awsmessage.Quota:         "VcpuLimitExceeded",
	awsmessage.SpotLimit:     "MaxSpotInstanceCountExceeded",
	awsmessage.Configuration: "InvalidLaunchTemplate",
}

// meaning is what the failure says of pools, completed by what the group can only have meant.
func (f *LaunchFailure) meaning(g *Group) awsmessage.Meaning {
	m := awsmessage.Meaning{Class: f.Class, Code: f.Code, InstanceType: f.Pool.InstanceType, Zone: f.Pool.Zone, CapacityType: f.Pool.CapacityType}
	if g == nil {
		return m
	}
	return g.complete(m)
}

// complete fills in what a message leaves open of a pool and the group has only one of.
func (g *Group) complete(m awsmessage.Meaning) awsmessage.Meaning {
	if m.CapacityType == "" {
		m.CapacityType = g.CapacityType()
	}
	if m.InstanceType == "" && g.Launch != nil && len(g.Launch.Types) == 1 {
		m.InstanceType = g.Launch.Types[0].Name
	}
	if m.Zone == "" && len(g.Zones) == 1 {
		m.Zone = g.Zones[0]
	}
	return m
}

// bounded cuts a text of AWS's to what is worth keeping.
func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxMessage)], "")
}
