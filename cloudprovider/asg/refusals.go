package asg

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

// refusals remembers where AWS refused LaunchInstances. Safe for concurrent use.
type refusals struct {
	clock clock.PassiveClock
	mode  LaunchMode

	mu     sync.Mutex
	all    time.Time          // AWS does not know the call here, until then. Zero once it has answered one
	coded  bool               // AWS said so by a code. A proxy on the way has none
	groups map[string]refusal // the last one of each
}

// refusal is AWS's reason not to launch synchronously in a group, and the time until which it is believed.
type refusal struct {
	reason, remedy string
	denied         string // the action that IAM does not allow, "" for another reason
	until          time.Time
}

// unnamed are the actions of denials whose text names none, by their code. Other codes are about the account, whatever the call.
var unnamed = map[string]string{"AccessDenied": "autoscaling:LaunchInstances", "AccessDeniedException": "autoscaling:LaunchInstances",
	"NotAuthorized": "autoscaling:LaunchInstances", "Client.UnauthorizedOperation": "ec2:CreateFleet", "SsmAccessDenied": "ssm:GetParameters", "UnauthorizedOperation": "ec2:CreateFleet",
	"AuthFailure.ServiceLinkedRoleCreationNotPermitted": "iam:CreateServiceLinkedRole"}

func (r *refusals) of(group string) *notSynchronous { return r.last(group, synchronousRetry) }

// lasting returns the refusal of a group for want of a permission, or because AWS does not know the call, or nil. A launch of the whole group
// tries the call again after synchronousRetry, because it has the desired capacity in its place. A launch in one zone would fail. The refusal
// lasts until a launch succeeds, or for deniedRetry after the last try, because somebody may have allowed the call meanwhile.
func (r *refusals) lasting(group string) *notSynchronous { return r.last(group, deniedRetry) }

func (r *refusals) last(group string, retry time.Duration) *notSynchronous {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch last, at := r.groups[group], r.clock.Now().Add(synchronousRetry-retry); {
	case at.Before(r.all) && (retry == synchronousRetry || r.coded):
		return &notSynchronous{"AWS does not know LaunchInstances here", "none needed: instances are asked for by the desired capacity"}
	case at.Before(last.until) && (retry == synchronousRetry || last.denied != ""):
		return &notSynchronous{fmt.Sprintf("AWS refused (%s)", last.reason), last.remedy}
	}
	return nil
}

// refused remembers that AWS would not launch synchronously in the group. It logs each reason once per group, and once if AWS does not know the call.
func (r *refusals) refused(ctx context.Context, group string, err error) {
	now := refusal{reason: awsclient.Brief(err), until: r.clock.Now().Add(synchronousRetry)}
	if awsclient.IsDenied(err) {
		now.denied = cmp.Or(awsmessage.Of("", err.Error()).Action, unnamed[awsclient.Code(err)])
	}
	now.remedy = r.remedy(now.denied != "")
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.groups[group].reason == now.reason
	if awsclient.IsUnknownCall(err) {
		said, r.all = said || !r.all.IsZero(), now.until
		r.coded = !awsclient.IsUncoded(err)
	}
	r.groups[group] = now
	if !said {
		klog.FromContext(ctx).Info("Instances cannot be launched synchronously", "group", group, "reason", now.reason, "remedy", now.remedy)
	}
}

// denials returns the lasting refusals for want of a permission, by group.
func (r *refusals) denials() map[string]refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	denials, at := maps.Clone(r.groups), r.clock.Now().Add(synchronousRetry-deniedRetry)
	maps.DeleteFunc(denials, func(_ string, last refusal) bool { return last.denied == "" || !at.Before(last.until) })
	return denials
}

func (r *refusals) remedy(denied bool) string {
	allow := ""
	if denied {
		allow = "allow autoscaling:LaunchInstances, ec2:CreateFleet and ec2:DescribeLaunchTemplateVersions to launch at once, " +
			"ssm:GetParameters if a parameter names the image, and ec2:RunInstances and iam:PassRole if the group's launch template asks for them; "
	}
	switch {
	case r.mode == LaunchSynchronous:
		return allow + "the group grows by its desired capacity with --asg-launch-mode=auto, and not at all without"
	case allow != "":
		return allow + "until then instances are asked for by the desired capacity"
	}
	return "none needed: instances are asked for by the desired capacity"
}

// answered ends the refusals that AWS's answer to a launch in the group disproves.
func (r *refusals) answered(group string) {
	r.forget(group)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = time.Time{}
}

// forget ends the refusal of a group that is gone, or whose launches, processes or zones have changed.
func (r *refusals) forget(group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, group)
}
