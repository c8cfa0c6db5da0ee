package asg

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// failureGrace is how long AWS may take over a request before its activities are looked at, and the pause between
	// two looks. A launch that succeeds is in the group sooner.
	failureGrace    = 3 * time.Second
	failureSlowLook = 30 * time.Second
	// maxActivities is enough to see the newest attempt in every pool; AWS lists the newest first.
	maxActivities = 20
	// maxMessage bounds what we keep of AWS's text.
	maxMessage = 500
)

// readFailures looks up why requests of ours stay unfulfilled: one call per group that waits.
func (c *Cache) readFailures(ctx context.Context, names []string) {
	for _, name := range names {
		if since, due := c.failureDue(name); due {
			failure, err := c.launchFailure(ctx, name, since)
			if err != nil {
				if ctx.Err() == nil {
					klog.FromContext(ctx).V(2).Info("Could not read the scaling activities", "group", name, "reason", awsclient.Reason(err), "err", err)
				}
				continue
			}
			if failure != nil {
				c.failed(ctx, name, failure)
			}
		}
	}
}

// failureDue tells whether the group's request has waited long enough to ask AWS why, and since when it waits.
func (c *Cache) failureDue(name string) (since time.Time, due bool) {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || e.request.instances == 0 || now.Sub(e.request.since) < failureGrace {
		return time.Time{}, false
	}
	pause := failureGrace
	if now.Sub(e.request.since) > restlessFor {
		pause = failureSlowLook
	}
	if now.Sub(e.request.checked) < pause {
		return time.Time{}, false
	}
	e.request.checked = now
	return e.request.since, true
}

// failed enters a launch failure, and wakes the core when it is news.
func (c *Cache) failed(ctx context.Context, name string, failure *LaunchFailure) {
	news := false
	c.update(name, func(e *entry, g *Group) {
		news = e.request.failure == nil
		e.request.failure = failure
		e.request.settle(g)
	})
	if !news {
		return
	}
	klog.FromContext(ctx).Info("AWS could not launch what we asked for", "group", name, "code", failure.Code, "message", failure.Message)
	c.launches.suspect(name)
	signal(c.changed)
	signal(c.resolve)
}

// launchFailure returns the newest failed launch of the group that began after since, or nil.
func (c *Cache) launchFailure(ctx context.Context, name string, since time.Time) (*LaunchFailure, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
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
			return &LaunchFailure{At: begun, Code: failureCode(message), Message: message[:min(len(message), maxMessage)]}, nil
		}
	}
	return nil, nil
}

// codeInMessage finds the EC2 error code in a status message such as "Could not launch Spot Instances.
// InsufficientInstanceCapacity - There is no Spot capacity available that matches your request."
var codeInMessage = regexp.MustCompile(`(?:^|\s)([A-Z][A-Za-z]{5,60}(?:\.[A-Za-z]{1,40})*) - `)

// codelessMessages are the status messages in which AWS gives no code, by words that never change.
var codelessMessages = []struct{ words, code string }{
	{"do not have sufficient", "InsufficientInstanceCapacity"},
	{"no Spot capacity available", "InsufficientInstanceCapacity"},
	{"more vCPU capacity than your current vCPU limit", "VcpuLimitExceeded"},
	{"launch template", "InvalidLaunchTemplate"},
}

func failureCode(message string) string {
	if found := codeInMessage.FindStringSubmatch(message); found != nil {
		return found[1]
	}
	for _, m := range codelessMessages {
		if strings.Contains(message, m.words) {
			return m.code
		}
	}
	return "LaunchFailed"
}
