package manifests_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// matches reports whether an event matches a pattern of EventBridge: for each key one of the values, or the nested pattern. One
// value of an event's list is enough (user guide, "Creating Amazon EventBridge event patterns"). Of the operators, only prefix is
// known here. Others match nothing.
func matches(pattern, event any) bool {
	switch p := pattern.(type) {
	case map[string]any:
		e, ok := event.(map[string]any)
		for key, wanted := range p {
			if !ok || !matches(wanted, e[key]) {
				return false
			}
		}
		return ok
	case []any:
		if values, ok := event.([]any); ok {
			return slices.ContainsFunc(values, func(v any) bool { return matches(pattern, v) })
		}
		return slices.ContainsFunc(p, func(wanted any) bool {
			text, ok := event.(string)
			if operator, is := wanted.(map[string]any); is {
				prefix, known := operator["prefix"].(string)
				return ok && known && strings.HasPrefix(text, prefix)
			}
			return ok && wanted == event
		})
	}
	return false
}

func TestRulesMatchTheEventsTheyAreFor(t *testing.T) {
	event := func(source, detailType, detail string) string {
		return `{"version":"0","id":"1e5527d7-bb36-4607-3370-4164db56a40e","detail-type":"` + detailType + `","source":"` + source +
			`","account":"123456789012","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":["x"],"detail":` + detail + `}`
	}
	health := func(service, category string) string {
		return event("aws.health", "AWS Health Event", `{"eventArn":"arn:aws:health:region::event/id","service":"`+service+
			`","eventTypeCode":"AWS_EC2_DEDICATED_HOST_NETWORK_MAINTENANCE_SCHEDULED","eventTypeCategory":"`+category+`","affectedEntities":[{"entityValue":"i-12345678"}]}`)
	}
	state := func(state string) string {
		return event("aws.ec2", "EC2 Instance State-change Notification", `{"instance-id":"i-abcd1111","state":"`+state+`"}`)
	}
	lifecycle := func(hook string) string {
		return `{"LifecycleActionToken":"0befcbdb","AutoScalingGroupName":"g","LifecycleHookName":"` + hook +
			`","EC2InstanceId":"i-0633ac2b0d9769723","LifecycleTransition":"t"}`
	}
	instance := `{"instance-id":"i-0b662ef9931388ba0","instance-action":"terminate"}`
	for _, tt := range []struct {
		name, event string
		want        int // rules that match: none, or exactly one
	}{
		{"spot interruption", event("aws.ec2", "EC2 Spot Instance Interruption Warning", instance), 1},
		{"rebalance", event("aws.ec2", "EC2 Instance Rebalance Recommendation", `{"instance-id":"i-0b662ef9931388ba0"}`), 1},
		{"capacity reservation", event("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning", instance), 1},
		{"stopping", state("stopping"), 1},
		{"stopped", state("stopped"), 1},
		{"shutting down", state("shutting-down"), 1},
		{"terminated", state("terminated"), 1},
		{"pending", state("pending"), 0},
		{"running", state("running"), 0},
		{"scheduled change of EC2", health("EC2", "scheduledChange"), 1},
		{"scheduled change of RDS", health("RDS", "scheduledChange"), 0},
		{"issue of EC2", health("EC2", "issue"), 0},
		{"account notification", health("EC2", "accountNotification"), 0},
		{"terminate action", event("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", lifecycle("asg-autoscaler-drain")), 1},
		{"terminate action of another tool", event("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", lifecycle("Terminate-LC-Hook")), 0},
		{"launch action", event("aws.autoscaling", "EC2 Instance-launch Lifecycle Action", lifecycle("asg-autoscaler-drain")), 0},
		{"launch unsuccessful", event("aws.autoscaling", "EC2 Instance Launch Unsuccessful", `{"StatusCode":"Failed"}`), 1},
		{"launch successful", event("aws.autoscaling", "EC2 Instance Launch Successful", `{"StatusCode":"InProgress"}`), 0},
		{"somebody's own event of the same name", event("my.app", "EC2 Spot Instance Interruption Warning", instance), 0},
	} {
		for _, made := range []infrastructure{fromCloudFormation(t, places[0]), fromTerraform(t, places[1])} {
			got := 0
			for _, pattern := range made.Rules {
				if matches(pattern, parsed(t, tt.event)) {
					got++
				}
			}
			assert.Equalf(t, tt.want, got, "%s: rules match", tt.name)
		}
	}
}
