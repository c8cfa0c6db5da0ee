package aws

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// ageing reports when the reading of the groups becomes too old to act on, and when it is fresh again. The core's loop uses it.
type ageing struct {
	shown string // the restriction last reported
	event func(eventType, reason, message string)
}

// watch reports the actions that the age of the reading forbids, if they changed.
func (a *ageing) watch(ctx context.Context, age time.Duration, remove, add bool) {
	now := ""
	switch {
	case add:
		now = "no node is added or removed"
	case remove:
		now = "no node is removed"
	}
	if now == a.shown {
		return
	}
	a.shown = now
	if now == "" {
		klog.FromContext(ctx).Info("The Auto Scaling groups have been read again, nodes are added and removed as before")
		return
	}
	message := fmt.Sprintf("The Auto Scaling groups have not been read for %s: %s until AWS answers; "+
		"check the endpoint, the credentials and autoscaling:DescribeAutoScalingGroups", decision.Span(age.Round(time.Second)), now)
	klog.Warning(message)
	a.event(corev1.EventTypeWarning, "ReadingTooOld", message)
}
