package fakeaws

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Detail types of the events for which rules exist.
const (
	spotWarning        = "EC2 Spot Instance Interruption Warning"
	rebalanceAdvice    = "EC2 Instance Rebalance Recommendation"
	stateChange        = "EC2 Instance State-change Notification"
	capacityWarning    = "EC2 Capacity Reservation Instance Interruption Warning"
	healthEvent        = "AWS Health Event"
	terminateAction    = "EC2 Instance-terminate Lifecycle Action"
	launchAction       = "EC2 Instance-launch Lifecycle Action"
	launchSuccess      = "EC2 Instance Launch Successful"
	launchUnsuccessful = "EC2 Instance Launch Unsuccessful"
	terminateSuccess   = "EC2 Instance Terminate Successful"
	sourceEC2          = "aws.ec2"
	sourceHealth       = "aws.health"
	sourceAutoScaling  = "aws.autoscaling"
)

var detailTypes = []string{
	spotWarning, rebalanceAdvice, stateChange, capacityWarning, healthEvent, terminateAction, launchAction,
	launchSuccess, launchUnsuccessful, terminateSuccess,
}

// A busEvent is an event of EventBridge, its fields in AWS's order.
type busEvent struct {
	Version    string   `json:"version"`
	ID         string   `json:"id"`
	DetailType string   `json:"detail-type"`
	Source     string   `json:"source"`
	Account    string   `json:"account"`
	Time       string   `json:"time"`
	Region     string   `json:"region"`
	Resources  []string `json:"resources"`
	Detail     any      `json:"detail"`
}

// Details of the events, as AWS's pages on each show them.
type (
	interruptionDetail struct {
		Instance string `json:"instance-id"`
		Action   string `json:"instance-action,omitempty"`
		Ends     string `json:"instance-termination-time,omitempty"`
	}
	stateDetail struct {
		Instance string `json:"instance-id"`
		State    string `json:"state"`
	}
	lifecycleDetail struct {
		Token      string `json:"LifecycleActionToken"`
		Group      string `json:"AutoScalingGroupName"`
		Hook       string `json:"LifecycleHookName"`
		Instance   string `json:"EC2InstanceId"`
		Transition string `json:"LifecycleTransition"`
	}
	healthDetail struct {
		ARN         string              `json:"eventArn"`
		Service     string              `json:"service"`
		Code        string              `json:"eventTypeCode"`
		Category    string              `json:"eventTypeCategory"`
		Start       string              `json:"startTime"`
		End         string              `json:"endTime,omitempty"`
		Description []healthDescription `json:"eventDescription"`
		Entities    []healthEntity      `json:"affectedEntities"`
		Backup      string              `json:"backupEvent,omitempty"` // in China only
	}
	healthDescription struct {
		Language string `json:"language"`
		Latest   string `json:"latestDescription"`
	}
	healthEntity struct {
		Value string            `json:"entityValue"`
		Tags  map[string]string `json:"tags,omitempty"`
	}
	activityDetail struct {
		StatusCode string         `json:"StatusCode"`
		Group      string         `json:"AutoScalingGroupName"`
		Activity   string         `json:"ActivityId"`
		Details    activityPlaces `json:"Details"`
		Request    string         `json:"RequestId"`
		Message    string         `json:"StatusMessage"`
		End        string         `json:"EndTime"`
		Instance   string         `json:"EC2InstanceId"`
		Start      string         `json:"StartTime"`
		Cause      string         `json:"Cause"`
	}
	activityPlaces struct {
		Zone   string `json:"Availability Zone"`
		Subnet string `json:"Subnet ID"`
	}
)

// compactJSON writes a value as AWS does: on one line, without escapes for HTML.
func compactJSON(value any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // of structs of strings
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// publish sends an event to the queues that have a rule for it.
func (a *account) publish(detailType, source string, resources []string, detail any) {
	a.announced++
	body := compactJSON(busEvent{
		Version: "0", ID: uuidOf(a.id, "event", a.announced), DetailType: detailType, Source: source, Account: a.id,
		Time: seconds(time.Now().Add(a.skew)), Region: a.region, Resources: resources, Detail: detail,
	})
	for _, q := range a.queues {
		if slices.Contains(q.Events, "*") || slices.Contains(q.Events, detailType) {
			a.deliver(q, body)
		}
	}
}

// deliver puts a message into a queue when its lag is over, and once more by chance.
func (a *account) deliver(q *queue, body string) {
	send := func() { q.send(body, 0) }
	if q.chance(q.Duplicates) {
		send = func() { q.send(body, 0); q.send(body, 0) }
	}
	if q.Lag == 0 {
		send()
		return
	}
	a.at(time.Now(), q.Lag, send)
}

// zonalARN is the form in which warnings and recommendations name an instance: by its zone, and without the account.
func (a *account) zonalARN(i *instance) string {
	return "arn:" + a.partition + ":ec2:" + i.pool.zone + ":instance/" + i.id
}

func (a *account) instanceARN(id string) string {
	return "arn:" + a.partition + ":ec2:" + a.region + ":" + a.id + ":instance/" + id
}

// changeState announces EC2's state of an instance, once each.
func (a *account) changeState(i *instance, state string) {
	if i.announcedState == state || i.announcedState == "terminated" || i.announcedState == "shutting-down" && state != "terminated" {
		return
	}
	i.announcedState = state
	a.publish(stateChange, sourceEC2, []string{a.instanceARN(i.id)}, stateDetail{i.id, state})
}

// publishActivity announces the result of a launch or termination.
func (a *account) publishActivity(detailType, status string, act *activity, instanceID string) {
	a.publish(detailType, sourceAutoScaling, []string{act.groupARN, a.instanceARN(instanceID)}, activityDetail{
		StatusCode: status, Group: act.group, Activity: act.id, Details: activityPlaces{act.zone, act.subnet},
		Request: act.id, Message: act.message, End: seconds(act.ended.Add(a.skew)), Instance: instanceID,
		Start: seconds(act.started.Add(a.skew)), Cause: act.cause,
	})
}

// publishHealth announces maintenance that EC2 plans for an instance. Each Region of China also gets the events of the other.
func (a *account) publishHealth(i *instance, start time.Time, backup bool) {
	detail := healthDetail{
		ARN:     "arn:" + a.partition + ":health:" + a.region + "::event/EC2/AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED/" + uuidOf(a.id, "health", a.announced),
		Service: "EC2", Code: "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", Category: "scheduledChange",
		Start:       start.Add(a.skew).UTC().Format("Mon, 2 Jan 2006 15:04:05 GMT"),
		Description: []healthDescription{{"en_US", "The instance is scheduled for retirement."}},
		Entities:    []healthEntity{{Value: i.id, Tags: i.tags}},
	}
	if a.partition == "aws-cn" {
		detail.Backup = map[bool]string{false: "False", true: "True"}[backup]
	}
	a.publish(healthEvent, sourceHealth, []string{i.id}, detail)
}
