package aws

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// watchAge reports the actions that the age of the reading forbids, if they changed.
func (p *Provider) watchAge() {
	now := ""
	switch {
	case p.TooOldToAdd():
		now = "no node is added or removed"
	case p.TooOldToRemove():
		now = "no node is removed"
	}
	if now == p.tooOld {
		return
	}
	p.tooOld = now
	if now == "" {
		klog.FromContext(p.ctx).Info("The Auto Scaling groups have been read again, nodes are added and removed as before")
		return
	}
	message := fmt.Sprintf("The Auto Scaling groups have not been read for %s: %s until AWS answers; "+
		"check the endpoint, the credentials and autoscaling:DescribeAutoScalingGroups", decision.Span(p.cache.Age().Round(time.Second)), now)
	klog.Warning(message)
	p.problems.event(corev1.EventTypeWarning, "ReadingTooOld", message)
}
