package cooldown

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

func TestSubjectOfActivity(t *testing.T) {
	for _, tt := range []struct {
		description            string
		id                     string
		launching, terminating bool
	}{
		{"Launching a new EC2 instance", "", true, false},
		{"Launching a new EC2 instance: i-0a1b2c", "i-0a1b2c", true, false},
		{"Launching a new EC2 instance: i-0a1b2c.  Status Reason: Instance failed to complete user's Lifecycle Action: i-other", "i-0a1b2c", true, false},
		{"Launching a new EC2 instance.  Status Reason: There is no Spot capacity available that matches your request.", "", true, false},
		{"Launching a new EC2 instance from warm pool: i-0a1b2c", "i-0a1b2c", true, false},
		{"Launching a new EC2 instance into warm pool: i-0a1b2c", "i-0a1b2c", false, false},
		{"", "", true, false}, // another endpoint may leave it out
		{"Scale-out by a policy", "", true, false},
		{"Updating load balancers/target groups: Failed. Status Reason: Target group not found", "", false, false},
		{"Terminating EC2 instance: i-0a1b2c - Waiting For ELB Connection Draining.", "i-0a1b2c", false, true},
		{"Terminating EC2 instance: i-of-1 - Waiting For ELB Connection Draining.", "i-of-1", false, true},
	} {
		id, launching, terminating := Subject(types.Activity{Description: &tt.description})
		assert.Truef(t, id == tt.id && launching == tt.launching && terminating == tt.terminating,
			"%s: %q, launching %t, terminating %t", tt.description, id, launching, terminating)
	}
}

func TestFailedLaunchesOfActivities(t *testing.T) {
	const details = `{"Subnet ID":"subnet-0a","Availability Zone":"us-east-1a"}`
	const hook = "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token e85eb647-4fe0-4909-b341-a6c42d8aba1f was abandoned: "
	spot := Pool{Zone: "us-east-1a", CapacityType: awsmessage.Spot}
	for _, tt := range []struct {
		name             string
		status           types.ScalingActivityStatusCode
		message, details string
		want             []Failure // without time and message
	}{
		{name: "zone in the details", status: "Failed", details: details, message: "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available " +
			"that matches your request. Launching EC2 instance failed.", want: []Failure{{Code: "InsufficientInstanceCapacity", Class: awsmessage.NoCapacity, Pool: spot}}},
		{name: "details of another form", status: "Failed", details: "us-east-1a", message: "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity.",
			want: []Failure{{Code: "UnfulfillableCapacity", Class: awsmessage.NoCapacity, Pool: Pool{CapacityType: awsmessage.Spot}}}},
		{name: "zone in the text", status: "Failed", details: details, message: "We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1b).",
			want: []Failure{{Code: "InsufficientInstanceCapacity", Class: awsmessage.NoCapacity, Pool: Pool{InstanceType: "m5.large", Zone: "us-east-1b"}}}},
		{name: "wrong in every zone", status: "Failed", details: details, message: "The security group sg-1 does not exist. Launching EC2 instance failed.",
			want: []Failure{{Code: "InvalidLaunchTemplate", Class: awsmessage.Configuration}}},
		{name: "wrong in its zone", status: "Failed", details: details, message: "The subnet ID 'subnet-0a' does not exist. Launching EC2 instance failed.",
			want: []Failure{{Code: "InvalidLaunchTemplate", Class: awsmessage.Configuration, Pool: Pool{Zone: "us-east-1a"}}}},
		{name: "a zone without new instances", status: "Failed", details: details, message: "The requested Availability Zone is no longer supported. " +
			"Launching EC2 instance failed.", want: []Failure{{Code: "InvalidLaunchTemplate", Class: awsmessage.Configuration, Pool: Pool{Zone: "us-east-1a"}}}},
		{name: "a zone without the configuration", status: "Failed", details: details, message: "Could not launch On-Demand Instances. Unsupported - The requested configuration " +
			"is currently not supported. Please check the documentation for supported configurations. Launching EC2 instance failed.",
			want: []Failure{{Code: "Unsupported", Class: awsmessage.Configuration, Pool: Pool{Zone: "us-east-1a", CapacityType: awsmessage.OnDemand}}}},
		{name: "nobody completed the hook", status: "Cancelled", details: details, message: hook + "Heartbeat Timeout",
			want: []Failure{{Code: "LifecycleHookAbandoned", Class: awsmessage.Configuration}}},
		{name: "the hook was completed with ABANDON", status: "Cancelled", details: details, message: hook + "Lifecycle Action Completed with ABANDON Result",
			want: []Failure{{Code: "LifecycleHookAbandoned", Class: awsmessage.Configuration}}},
		{name: "taken back", status: "Cancelled", details: details},
	} {
		for _, description := range []*string{aws.String("Launching a new EC2 instance: i-1"), nil} {
			t.Run(tt.name, func(t *testing.T) {
				var got []Failure
				for _, f := range FailedLaunches([]types.Activity{{StatusCode: tt.status, Description: description,
					StatusMessage: &tt.message, Details: &tt.details, StartTime: aws.Time(time.Now())}}) {
					f.At, f.Message = time.Time{}, ""
					got = append(got, f.Failure)
				}
				assert.Empty(t, cmp.Diff(tt.want, got), "failures (-want +got)")
			})
		}
	}
}
