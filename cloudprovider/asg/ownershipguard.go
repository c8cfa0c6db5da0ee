package asg

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
)

type AutoScalingAPI interface {
	launchspec.AutoScalingAPI
	autoscaling.DescribeAutoScalingGroupsAPIClient
	autoscaling.DescribeScalingActivitiesAPIClient
	awsclient.Writes
}

// unreadTagsError is the error of a termination that was not sent, because EC2 did not show the tags of the instances.
type unreadTagsError struct{ error }

func (e *unreadTagsError) Unwrap() error { return e.error }

// Unsent makes awsclient.IsRefused true.
func (e *unreadTagsError) Unsent() bool { return true }

// guarded is Auto Scaling without writes to other clusters' groups and instances. Every write of a Cache passes here, after all other checks.
type guarded struct {
	AutoScalingAPI
	groups    *groups
	instances lookup.InstancesAPI // nil: nobody checks the tags of instances
	clock     clock.PassiveClock
}

func (w guarded) SetDesiredCapacity(ctx context.Context, in *autoscaling.SetDesiredCapacityInput,
	o ...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error) {
	if err := w.mayChange(aws.ToString(in.AutoScalingGroupName)); err != nil {
		return nil, err
	}
	return w.AutoScalingAPI.SetDesiredCapacity(ctx, in, o...)
}

func (w guarded) LaunchInstances(ctx context.Context, in *autoscaling.LaunchInstancesInput,
	o ...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error) {
	if err := w.mayChange(aws.ToString(in.AutoScalingGroupName)); err != nil {
		return nil, err
	}
	out, err := w.AutoScalingAPI.LaunchInstances(ctx, in, o...)
	if err == nil {
		w.groups.mu.Lock()
		defer w.groups.mu.Unlock()
		for _, some := range out.Instances {
			for _, id := range some.InstanceIds {
				w.groups.identity.Launched(id, w.clock.Now())
			}
		}
	}
	return out, err
}

// TerminateInstanceInAutoScalingGroup also asks EC2 for the tags of instances that are not certainly ours, by one call.
func (w guarded) TerminateInstanceInAutoScalingGroup(ctx context.Context, in *autoscaling.TerminateInstanceInAutoScalingGroupInput,
	o ...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	ids := in.InstanceIds
	if in.InstanceId != nil {
		ids = append([]string{*in.InstanceId}, ids...)
	}
	if err := w.mayTerminate(ctx, ids); err != nil {
		return nil, err
	}
	if len(in.InstanceIds) > 0 { // a call for each instance is the alternative
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, impatientTimeout)
		defer cancel()
	}
	return w.AutoScalingAPI.TerminateInstanceInAutoScalingGroup(ctx, in, o...)
}

func (w guarded) mayChange(name string) error {
	w.groups.mu.Lock()
	defer w.groups.mu.Unlock()
	if e := w.groups.entries[name]; e != nil {
		return w.groups.identity.MayChange(e.Group())
	}
	return nil
}

// tagsNeverShown takes in the outcome of a look for the tags of instances. It reports whether no look has succeeded since the start, and the first one
// failed tagsMost ago.
func (w guarded) tagsNeverShown(err error) bool {
	w.groups.mu.Lock()
	defer w.groups.mu.Unlock()
	switch {
	case err == nil, awsclient.IsThrottled(err): // EC2 knows us and shows them later
		w.groups.tagsShown = true
	case w.groups.tagsWithheld.IsZero():
		w.groups.tagsWithheld = w.clock.Now()
	}
	return !w.groups.tagsShown && w.clock.Since(w.groups.tagsWithheld) >= tagsMost
}

// mayTerminate returns an *OtherClusterError if an instance may belong to another cluster, or the error of EC2. In groups that state our cluster it
// does without the tags of instances where EC2 never shows them, as where only Auto Scaling has an endpoint.
func (w guarded) mayTerminate(ctx context.Context, ids []string) error {
	strangers, stated, err := w.groups.strangers(ids)
	if err != nil || len(strangers) == 0 || w.instances == nil {
		return err
	}
	var foreign error
	err = lookup.DescribeInstances(ctx, w.instances, strangers, func(i ec2types.Instance) {
		tags := make(map[string]string, len(i.Tags))
		for _, t := range i.Tags {
			tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		foreign = cmp.Or(foreign, ownership.CheckTags(w.groups.Cluster(), tags))
	})
	never := w.tagsNeverShown(err)
	switch {
	case foreign != nil:
		return foreign
	case awsclient.IsRefusedForGood(err), never && stated:
		klog.FromContext(ctx).V(1).Info("Terminating instances whose tags we may not read", "instances", len(strangers),
			"err", awsclient.Brief(err), "remedy", "let the autoscaler call ec2:DescribeInstances to have instances spared that state another cluster")
	case err != nil:
		return &unreadTagsError{fmt.Errorf("read the tags of instances before they are terminated: %w", err)}
	}
	return nil
}
