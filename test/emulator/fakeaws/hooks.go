package fakeaws

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Transitions that a lifecycle hook may wait in, and their names in the API.
const (
	hookLaunching   = "launching"
	hookTerminating = "terminating"
)

var transitions = map[string]string{
	hookLaunching:   "autoscaling:EC2_INSTANCE_LAUNCHING",
	hookTerminating: "autoscaling:EC2_INSTANCE_TERMINATING",
}

// Results of lifecycle actions.
const (
	resultContinue = "CONTINUE"
	resultAbandon  = "ABANDON"
)

// A LifecycleHook makes the group's instances wait after their launch, or before their termination, until somebody completes
// the action or its time is over.
type LifecycleHook struct {
	Name             string   `json:"name"`
	Transition       string   `json:"transition"`                 // launching or terminating
	HeartbeatTimeout Duration `json:"heartbeatTimeout,omitempty"` // 1h
	DefaultResult    string   `json:"defaultResult,omitempty"`    // ABANDON (default) or CONTINUE
}

// Limits of lifecycle hooks (user guide, read 2026-11): an instance waits no longer than 48 hours or 100 heartbeats.
const (
	usualHeartbeat = time.Hour
	maxWait        = 48 * time.Hour
	maxHeartbeats  = 100
)

func (h LifecycleHook) heartbeat() time.Duration {
	return first(time.Duration(h.HeartbeatTimeout), usualHeartbeat)
}

func (h LifecycleHook) result() string { return first(h.DefaultResult, resultAbandon) }

func (h LifecycleHook) limit() time.Duration { return min(maxWait, maxHeartbeats*h.heartbeat()) }

func (h LifecycleHook) validate() error {
	switch {
	case h.Name == "":
		return fmt.Errorf("lifecycle hook without a name")
	case transitions[h.Transition] == "":
		return fmt.Errorf("lifecycle hook %q: transition %q is neither launching nor terminating", h.Name, h.Transition)
	case h.result() != resultAbandon && h.result() != resultContinue:
		return fmt.Errorf("lifecycle hook %q: default result %q is neither ABANDON nor CONTINUE", h.Name, h.DefaultResult)
	}
	return nil
}

// A lifecycleAction is an instance's wait for one hook.
type lifecycleAction struct {
	hook     LifecycleHook
	token    string
	deadline time.Time
	end      time.Time // beyond which no heartbeat helps
}

// wait begins the actions of a transition. onward is called when all are completed. It returns false, and does nothing, if the
// group has no hook for it.
func (a *account) wait(i *instance, transition string, onward func()) bool {
	i.actions = map[string]*lifecycleAction{}
	for _, h := range i.group.LifecycleHooks {
		if h.Transition == transition {
			a.sequence++
			i.actions[h.Name] = &lifecycleAction{hook: h, token: uuidOf(a.id, "action", a.sequence), end: time.Now().Add(h.limit())}
		}
	}
	i.onward = onward
	for _, name := range slices.Sorted(maps.Keys(i.actions)) {
		a.notifyHook(i, i.actions[name])
		a.beat(i, i.actions[name])
	}
	return len(i.actions) > 0
}

// notifyHook announces to EventBridge that an instance waits.
func (a *account) notifyHook(i *instance, act *lifecycleAction) {
	detailType := terminateAction
	if act.hook.Transition == hookLaunching {
		detailType = launchAction
	}
	a.publish(detailType, sourceAutoScaling, []string{i.group.arn}, lifecycleDetail{
		Token: act.token, Group: i.group.Name, Hook: act.hook.Name, Instance: i.id, Transition: transitions[act.hook.Transition],
	})
}

// beat extends an action by another heartbeat's time.
func (a *account) beat(i *instance, act *lifecycleAction) {
	act.deadline = time.Now().Add(act.hook.heartbeat())
	if act.deadline.After(act.end) {
		act.deadline = act.end
	}
	a.at(time.Now(), Duration(time.Until(act.deadline)), func() {
		if i.actions[act.hook.Name] == act && !time.Now().Before(act.deadline) {
			a.complete(i, act, act.hook.result(), "Heartbeat Timeout")
		}
	})
}

func (a *account) complete(i *instance, act *lifecycleAction, result, why string) {
	delete(i.actions, act.hook.Name)
	switch {
	case result == resultAbandon && act.hook.Transition == hookLaunching:
		i.actions = nil
		message := "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token " + act.token + " was abandoned: " + why
		i.launching.finish(activityCancelled, message)
		i.launching.description += ".  Status Reason: " + message
		a.terminate(i, "At "+seconds(time.Now())+" an instance was taken out of service in response to an abandoned lifecycle action.")
		a.reconcile(i.group, "")
		return
	case result == resultAbandon: // of a terminating instance: it need not wait for the other hooks either
		i.actions = nil
	}
	if len(i.actions) == 0 {
		i.onward()
	}
}

func (a *account) completeLifecycleAction(r *request) (any, error) {
	i, act, err := a.findAction(r.form)
	if err != nil {
		return nil, err
	}
	result := r.form.get("LifecycleActionResult")
	if result != resultAbandon && result != resultContinue {
		return nil, invalid("The lifecycle action result '%s' is invalid. Valid values are: [CONTINUE, ABANDON]", result)
	}
	e := i.event(HookCompleted)
	e.By, e.Message = r.by(), act.hook.Name+" "+result
	a.events.add(e)
	a.complete(i, act, result, "Lifecycle Action Completed with ABANDON Result")
	return struct{}{}, nil
}

func (a *account) recordLifecycleActionHeartbeat(r *request) (any, error) {
	i, act, err := a.findAction(r.form)
	if err != nil {
		return nil, err
	}
	a.beat(i, act)
	return struct{}{}, nil
}

// findAction finds an action under way by group, hook, and token or instance.
func (a *account) findAction(f form) (*instance, *lifecycleAction, error) {
	g, err := a.findGroup(f.get("AutoScalingGroupName"))
	if err != nil {
		return nil, nil, err
	}
	hook, token, id := f.get("LifecycleHookName"), f.get("LifecycleActionToken"), f.get("InstanceId")
	if token == "" && id == "" {
		return nil, nil, invalid("Either LifecycleActionToken or InstanceId must be specified")
	}
	for _, i := range g.instances {
		act := i.actions[hook]
		if act != nil && (token == "" || act.token == token) && (id == "" || i.id == id) {
			return i, act, nil
		}
	}
	if token != "" {
		return nil, nil, invalid("No active Lifecycle Action found with token %s", token)
	}
	return nil, nil, invalid("No active Lifecycle Action found with instance ID %s", id)
}

type xmlHook struct {
	Name                 string `xml:"LifecycleHookName"`
	AutoScalingGroupName string `xml:"AutoScalingGroupName"`
	Transition           string `xml:"LifecycleTransition"`
	HeartbeatTimeout     int    `xml:"HeartbeatTimeout"`
}

func (a *account) describeLifecycleHooks(r *request) (any, error) {
	g, err := a.findGroup(r.form.get("AutoScalingGroupName"))
	if err != nil {
		return nil, err
	}
	names := r.form.list("LifecycleHookNames.member")
	var out struct {
		Hooks members[xmlHook] `xml:"LifecycleHooks"`
	}
	for _, h := range g.LifecycleHooks {
		if len(names) > 0 && !slices.Contains(names, h.Name) {
			continue
		}
		out.Hooks.Member = append(out.Hooks.Member, xmlHook{
			Name: h.Name, AutoScalingGroupName: g.Name, Transition: transitions[h.Transition],
			HeartbeatTimeout: int(h.heartbeat().Seconds()),
		})
	}
	slices.SortFunc(out.Hooks.Member, func(x, y xmlHook) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}
