package event

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// maxInstances bounds the instances of one event. AWS Health names a hundred at most.
	maxInstances = 1000
	// maxText bounds the texts that are kept.
	maxText = 256
)

// Parse parses the body of a message, which SQS bounds. The error is an *Unusable.
func Parse(body string) (Event, error) { return parse([]byte(body), true) }

// message has the fields of every form of body. The fields that are set reveal the form.
type message struct {
	// EventBridge.
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Time       string          `json:"time"` // also a lifecycle hook's "Time"
	Detail     json.RawMessage `json:"detail"`
	// SNS.
	Message string `json:"Message"`
	// A lifecycle hook.
	lifecycle
	Event     string `json:"Event"`
	RequestID string `json:"RequestId"`
}

type lifecycle struct {
	LifecycleActionToken string
	AutoScalingGroupName string
	LifecycleHookName    string
	EC2InstanceID        string `json:"EC2InstanceId"`
	LifecycleTransition  string
	Action               string // ReplaceRootVolume, otherwise AWS leaves it out
}

const testNotification = "autoscaling:TEST_NOTIFICATION"

func parse(body []byte, mayBeWrapped bool) (Event, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return Event{}, unusable(Garbage, "%v", err)
	}
	switch {
	case m.DetailType != "":
		read := readers[m.Source+"/"+m.DetailType]
		if read == nil {
			return Event{}, unusable(UnknownType, "%.64q of %.64q", m.DetailType, m.Source)
		}
		return read(Event{ID: bounded(m.ID), Time: timeOf(m.Time)}, m.Detail)
	case m.Event == testNotification:
		return Event{}, unusable(Test, "")
	case m.LifecycleTransition != "":
		return fromHook(Event{ID: m.RequestID, Time: timeOf(m.Time)}, m.lifecycle)
	case m.Message != "" && mayBeWrapped:
		return parse([]byte(m.Message), false)
	}
	return Event{}, unusable(UnknownType, "neither an event nor a lifecycle action")
}

// readers read the details of the known events, by source and type.
var readers = map[string]func(Event, json.RawMessage) (Event, error){
	"aws.ec2/EC2 Spot Instance Interruption Warning":                 fromEC2(SpotInterruption),
	"aws.ec2/EC2 Capacity Reservation Instance Interruption Warning": fromEC2(ReservationEnd),
	"aws.ec2/EC2 Instance Rebalance Recommendation":                  fromEC2(Rebalance),
	"aws.ec2/EC2 Instance State-change Notification":                 fromEC2(StateChange),
	"aws.health/AWS Health Event":                                    reader(fromHealth),
	"aws.autoscaling/EC2 Instance-terminate Lifecycle Action":        reader(fromHook),
	"aws.autoscaling/EC2 Instance-launch Lifecycle Action":           reader(fromHook),
	"aws.autoscaling/EC2 Instance Launch Successful":                 fromActivity(LaunchSuccessful),
	"aws.autoscaling/EC2 Instance Launch Unsuccessful":               fromActivity(LaunchUnsuccessful),
	"aws.autoscaling/EC2 Instance Terminate Successful":              fromActivity(TerminateSuccessful),
	"aws.autoscaling/EC2 Instance Terminate Unsuccessful":            fromActivity(TerminateFailed),
}

func reader[T any](from func(Event, T) (Event, error)) func(Event, json.RawMessage) (Event, error) {
	return func(e Event, detail json.RawMessage) (Event, error) {
		var d T
		if err := json.Unmarshal(detail, &d); err != nil {
			return Event{}, unusable(Garbage, "detail: %v", err)
		}
		return from(e, d)
	}
}

// change is the detail of EC2. The ARN in the event's resources is not read: some of AWS's examples have a zone in the place of its region.
type change struct {
	Instance string          `json:"instance-id"`
	Action   string          `json:"instance-action"`
	State    string          `json:"state"`
	Ends     json.RawMessage `json:"instance-termination-time"` // for a capacity reservation. Without a time in it the rest counts
}

func fromEC2(kind Kind) func(Event, json.RawMessage) (Event, error) {
	return reader(func(e Event, d change) (Event, error) {
		e.Kind, e.State, e.Starts = kind, bounded(d.Action), timeOf(strings.Trim(string(d.Ends), `"`))
		if kind == StateChange {
			e.State = bounded(d.State)
		}
		return e.about(d.Instance)
	})
}

type health struct {
	ARN       string          `json:"eventArn"`
	Service   string          `json:"service"`
	Code      string          `json:"eventTypeCode"`
	Category  string          `json:"eventTypeCategory"`
	StartTime string          `json:"startTime"`
	Backup    json.RawMessage `json:"backupEvent"` // true or "true", and "True" in a rule's pattern
	Status    string          `json:"statusCode"`  // "upcoming", "open" or "closed"
	Entities  []struct {
		Value  string `json:"entityValue"`
		Status string `json:"status"` // such as "PENDING", and "RESOLVED" when it is done
	} `json:"affectedEntities"`
}

func fromHealth(e Event, d health) (Event, error) {
	// A planned lifecycle event is about what instances are made from, such as the end of an instance generation. It names all of them for half a
	// year, and their replacements, too (AWS Health User Guide, Planned lifecycle events, read 2026-12).
	if d.Service != "EC2" || d.Category != "scheduledChange" || strings.HasSuffix(d.Code, "_PLANNED_LIFECYCLE_EVENT") {
		return Event{}, unusable(OtherHealth, "%.64q, %.64q of service %.64q", d.Code, d.Category, d.Service)
	}
	if strings.EqualFold(strings.Trim(string(d.Backup), `"`), "true") {
		return Event{}, unusable(BackupCopy, "")
	}
	e.Kind, e.Code, e.ARN, e.Starts = ScheduledChange, bounded(d.Code), bounded(d.ARN), timeOf(d.StartTime)
	var instances, over []string
	for _, entity := range d.Entities[:min(len(d.Entities), maxInstances)] {
		id := entity.Value
		if _, of, isARN := strings.Cut(id, ":instance/"); isARN { // retirements have one, other changes the bare ID
			id = of
		}
		if d.Status == "closed" || entity.Status == "RESOLVED" {
			over = append(over, id)
		} else {
			instances = append(instances, id)
		}
	}
	if e.Over = valid(over); len(e.Over) > 0 && len(instances) == 0 {
		return e, nil
	}
	return e.about(instances...)
}

func fromHook(e Event, d lifecycle) (Event, error) {
	switch d.LifecycleTransition {
	case "autoscaling:EC2_INSTANCE_TERMINATING":
		e.Kind = TerminateHook
	case "autoscaling:EC2_INSTANCE_LAUNCHING":
		e.Kind = LaunchHook
	case testNotification:
		return Event{}, unusable(Test, "")
	default:
		return Event{}, unusable(UnknownType, "lifecycle transition %.64q", d.LifecycleTransition)
	}
	// Names of groups and hooks have up to 255 characters, tokens 36 (EC2 Auto Scaling API reference).
	e.Group, e.Hook, e.Token = bounded(d.AutoScalingGroupName), bounded(d.LifecycleHookName), bounded(d.LifecycleActionToken)
	e.State = bounded(d.Action)
	if e.Group == "" || e.Hook == "" {
		return Event{}, unusable(Garbage, "a lifecycle action without its group or hook")
	}
	return e.about(d.EC2InstanceID)
}

func fromActivity(kind Kind) func(Event, json.RawMessage) (Event, error) {
	return reader(func(e Event, d lifecycle) (Event, error) {
		if d.AutoScalingGroupName == "" {
			return Event{}, unusable(Garbage, "an activity without its group")
		}
		e.Kind, e.Group = kind, bounded(d.AutoScalingGroupName)
		if validInstance.MatchString(d.EC2InstanceID) { // a failed launch has none
			e.Instances = []string{d.EC2InstanceID}
		}
		return e, nil
	})
}

// validInstance matches an instance ID in the long form, in the short one, and as emulators write it.
var validInstance = regexp.MustCompile(`^i-[0-9a-z-]{1,40}$`)

// valid returns the instances, sorted and each once, without IDs that cannot exist.
func valid(instances []string) []string {
	instances = slices.DeleteFunc(instances, func(id string) bool { return !validInstance.MatchString(id) })
	slices.Sort(instances)
	return slices.Compact(instances)
}

func (e Event) about(instances ...string) (Event, error) {
	if e.Instances = valid(instances); len(e.Instances) == 0 {
		return Event{}, unusable(NoInstance, "")
	}
	return e, nil
}

// timeOf reads a time as EventBridge or AWS Health writes it. It is zero for other texts. AWS Health writes days of one digit with a zero
// before them and without.
func timeOf(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

func bounded(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}

func unusable(reason Reason, format string, args ...any) error {
	return &Unusable{Reason: reason, Detail: bounded(fmt.Sprintf(format, args...))}
}
