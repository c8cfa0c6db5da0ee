package fakeaws

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

const diedText = "Instance became unhealthy while waiting for instance to be in InService state. " +
	"Termination Reason: Client.InternalError: Client error on launch"

func TestLaunchDiesPendingAndIsRepeated(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Group: "g", Dies: Duration(20 * time.Second), Times: 1})
		setDesired(t, c, "g", 1)
		pass(20 * time.Second)
		statesAre(t, c, "while it has not died", map[string]int{"Pending": 1})
		pass(700 * time.Millisecond)
		statesAre(t, c, "when it has died", map[string]int{"Terminating": 1})
		pass(10 * time.Second)
		statesAre(t, c, "in the end", map[string]int{"InService": 1})
		acts := activities(t, c, "g")
		var died []string
		for _, act := range acts {
			if act.StatusCode == "Cancelled" && *act.StatusMessage == diedText && strings.HasSuffix(*act.Description, ".  Status Reason: "+diedText) {
				died = append(died, *act.ActivityId)
			}
		}
		if len(died) != 1 || len(acts) != 3 {
			t.Errorf("activities %+v; want a launch cancelled with the reason, its termination, and another launch", acts)
		}
	})
}

func TestDeadLaunchOfEC2SaysWhy(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Dies: Duration(5 * time.Second), Times: 1, Code: "Client.VolumeLimitExceeded", Message: "Volume limit exceeded"})
		out, err := launch(t.Context(), c, "token", 1)
		if err != nil || len(out.Instances) != 1 {
			t.Fatalf("launch: %+v, %v; want one instance answered", out, err)
		}
		pass(7 * time.Second)
		seen, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: out.Instances[0].InstanceIds})
		if err != nil {
			t.Fatal(err)
		}
		i := seen.Reservations[0].Instances[0]
		if i.State.Name != "terminated" || i.StateReason == nil || *i.StateReason.Code != "Client.VolumeLimitExceeded" {
			t.Errorf("instance is %s, reason %+v; want it terminated for its volumes", i.State.Name, i.StateReason)
		}
	})
}

func TestDeadLaunchWithoutRetryWaitsForChange(t *testing.T) {
	inBubble(t, oneGroup(), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{Dies: Duration(2 * time.Second), Times: 1, NoRetry: true})
		setDesired(t, c, "g", 1)
		pass(time.Hour)
		statesAre(t, c, "an hour later", map[string]int{})
		setDesired(t, c, "g", 2)
		pass(time.Minute)
		statesAre(t, c, "after another write", map[string]int{"InService": 2})
	})
}
