package fakeaws

import "time"

// Messages that Auto Scaling sends to a hook's own notification target, their fields in AWS's order.
type (
	hookNotification struct {
		Hook       string `json:"LifecycleHookName"`
		Account    string `json:"AccountId"`
		Request    string `json:"RequestId"`
		Transition string `json:"LifecycleTransition"`
		Group      string `json:"AutoScalingGroupName"`
		Service    string `json:"Service"`
		Time       string `json:"Time"`
		Instance   string `json:"EC2InstanceId"`
		Metadata   string `json:"NotificationMetadata,omitempty"`
		Token      string `json:"LifecycleActionToken"`
	}
	testNotification struct {
		Account string `json:"AccountId"`
		Request string `json:"RequestId"`
		ARN     string `json:"AutoScalingGroupARN"`
		Group   string `json:"AutoScalingGroupName"`
		Service string `json:"Service"`
		Event   string `json:"Event"`
		Time    string `json:"Time"`
	}
)

const notifyingService = "AWS Auto Scaling"

// tellHook announces to EventBridge, and to the hook's own target, that an instance waits.
func (a *account) notifyHook(i *instance, act *lifecycleAction) {
	h := act.hook
	detailType := terminateAction
	if h.Transition == hookLaunching {
		detailType = launchAction
	}
	a.publish(detailType, sourceAutoScaling, []string{i.group.arn}, lifecycleDetail{
		Token: act.token, Group: i.group.Name, Hook: h.Name, Instance: i.id, Transition: transitions[h.Transition], Metadata: h.NotificationMetadata,
	})
	if q := a.queue(h.NotificationTarget); q != nil {
		a.deliver(q, compactJSON(hookNotification{
			Hook: h.Name, Account: a.id, Request: uuidOf(act.token, "request"), Transition: transitions[h.Transition], Group: i.group.Name,
			Service: notifyingService, Time: timestamp(time.Now().Add(a.skew)), Instance: i.id, Metadata: h.NotificationMetadata, Token: act.token,
		}))
	}
}

// testHooks sends the test messages for new hooks to their targets.
func (a *account) testHooks(g *group) {
	for _, h := range g.LifecycleHooks {
		if q := a.queue(h.NotificationTarget); q != nil {
			a.deliver(q, compactJSON(testNotification{
				Account: a.id, Request: uuidOf(g.arn, "test", h.Name), ARN: g.arn, Group: g.Name, Service: notifyingService,
				Event: "autoscaling:TEST_NOTIFICATION", Time: timestamp(time.Now().Add(a.skew)),
			}))
		}
	}
}

// targetARN is the ARN of a hook's notification target, if it has one.
func (a *account) targetARN(h LifecycleHook) string {
	if q := a.queue(h.NotificationTarget); q != nil {
		return q.arn
	}
	return ""
}
