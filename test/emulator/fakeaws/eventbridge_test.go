package fakeaws

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// EventBridge's own examples, from AWS's pages and from the tests of AWS's node termination handler. The fields and their order
// are checked byte by byte.
func TestEventsAreWrittenAsAWSWritesThem(t *testing.T) {
	envelope := func(id, detailType, source, at, region, resource string, detail any) busEvent {
		return busEvent{"0", id, detailType, source, "123456789012", at, region, []string{resource}, detail}
	}
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"spot interruption", envelope("1e5527d7-bb36-4607-3370-4164db56a40e", spotWarning, sourceEC2, "1970-01-01T00:00:00Z", "us-east-1",
			"arn:aws:ec2:us-east-1b:instance/i-0b662ef9931388ba0", interruptionDetail{Instance: "i-0b662ef9931388ba0", Action: "terminate"}),
			`{"version":"0","id":"1e5527d7-bb36-4607-3370-4164db56a40e","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"123456789012","time":"1970-01-01T00:00:00Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1b:instance/i-0b662ef9931388ba0"],"detail":{"instance-id":"i-0b662ef9931388ba0","instance-action":"terminate"}}`},
		{"rebalance", envelope("5d5555d5-dd55-5555-5555-5555dd55d55d", rebalanceAdvice, sourceEC2, "2020-10-26T14:14:14Z", "us-east-1",
			"arn:aws:ec2:us-east-1b:instance/i-0b662ef9931388ba0", interruptionDetail{Instance: "i-0b662ef9931388ba0"}),
			`{"version":"0","id":"5d5555d5-dd55-5555-5555-5555dd55d55d","detail-type":"EC2 Instance Rebalance Recommendation","source":"aws.ec2","account":"123456789012","time":"2020-10-26T14:14:14Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1b:instance/i-0b662ef9931388ba0"],"detail":{"instance-id":"i-0b662ef9931388ba0"}}`},
		{"state change", envelope("7bf73129-1428-4cd3-a780-95db273d1602", stateChange, sourceEC2, "2015-11-11T21:29:54Z", "us-east-1",
			"arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111", stateDetail{"i-abcd1111", "pending"}),
			`{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"detail":{"instance-id":"i-abcd1111","state":"pending"}}`},
		{"health", healthDetail{
			ARN: "arn:aws:health:region::event/id", Service: "EC2", Code: "AWS_EC2_DEDICATED_HOST_NETWORK_MAINTENANCE_SCHEDULED",
			Category: "scheduledChange", Start: "Sat, 05 Jun 2016 15:10:09 GMT",
			Description: []healthDescription{{"en_US", "A description of the event will be provided here"}},
			Entities:    []healthEntity{{"i-12345678", map[string]string{"app": "my-app"}}},
		}, `{"eventArn":"arn:aws:health:region::event/id","service":"EC2","eventTypeCode":"AWS_EC2_DEDICATED_HOST_NETWORK_MAINTENANCE_SCHEDULED","eventTypeCategory":"scheduledChange","startTime":"Sat, 05 Jun 2016 15:10:09 GMT","eventDescription":[{"language":"en_US","latestDescription":"A description of the event will be provided here"}],"affectedEntities":[{"entityValue":"i-12345678","tags":{"app":"my-app"}}]}`},
		{"lifecycle action", envelope("782d5b4c-0f6f-1fd6-9d62-ecf6aed0a470", terminateAction, sourceAutoScaling, "2020-07-01T22:19:58Z", "us-east-1",
			"arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:26e7234b-03a4-47fb-b0a9-2b241662774e:autoScalingGroupName/testt1.demo-0a20f32c.kops.sh",
			lifecycleDetail{
				Token: "0befcbdb-6ecd-498a-9ff7-ae9b54447cd6", Group: "testt1.demo-0a20f32c.kops.sh", Hook: "cluster-termination-handler",
				Instance: "i-0633ac2b0d9769723", Transition: "autoscaling:EC2_INSTANCE_TERMINATING",
			}),
			`{"version":"0","id":"782d5b4c-0f6f-1fd6-9d62-ecf6aed0a470","detail-type":"EC2 Instance-terminate Lifecycle Action","source":"aws.autoscaling","account":"123456789012","time":"2020-07-01T22:19:58Z","region":"us-east-1","resources":["arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:26e7234b-03a4-47fb-b0a9-2b241662774e:autoScalingGroupName/testt1.demo-0a20f32c.kops.sh"],"detail":{"LifecycleActionToken":"0befcbdb-6ecd-498a-9ff7-ae9b54447cd6","AutoScalingGroupName":"testt1.demo-0a20f32c.kops.sh","LifecycleHookName":"cluster-termination-handler","EC2InstanceId":"i-0633ac2b0d9769723","LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING"}}`},
		{"launch unsuccessful", activityDetail{
			StatusCode: "Failed", Group: "my-auto-scaling-group", Activity: "87654321-4321-4321-4321-210987654321",
			Details: activityPlaces{"us-west-2b", "subnet-12345678"}, Request: "12345678-1234-1234-1234-123456789012", Message: "message-text",
			End: "yyyy-mm-ddThh:mm:ssZ", Instance: "i-1234567890abcdef0", Start: "yyyy-mm-ddThh:mm:ssZ", Cause: "description-text",
		}, `{"StatusCode":"Failed","AutoScalingGroupName":"my-auto-scaling-group","ActivityId":"87654321-4321-4321-4321-210987654321","Details":{"Availability Zone":"us-west-2b","Subnet ID":"subnet-12345678"},"RequestId":"12345678-1234-1234-1234-123456789012","StatusMessage":"message-text","EndTime":"yyyy-mm-ddThh:mm:ssZ","EC2InstanceId":"i-1234567890abcdef0","StartTime":"yyyy-mm-ddThh:mm:ssZ","Cause":"description-text"}`},
	} {
		assert.Emptyf(t, cmp.Diff(tt.want, compactJSON(tt.value)), "%s (-want +got)", tt.name)
	}
}

// spotGroup is a group with two on-demand and two spot instances, and a queue q that gets these events, or all.
func spotGroup(events ...string) Config {
	none := 0
	cfg := oneGroup(withDesired(4), func(g *AutoScalingGroup) {
		g.LaunchTemplate = nil
		g.MixedInstancesPolicy = &MixedInstancesPolicy{
			LaunchTemplate: LaunchTemplateRef{Name: "t"}, Overrides: []Override{{InstanceType: "m5.large"}},
			Distribution: Distribution{OnDemandBaseCapacity: 2, OnDemandPercentageAboveBaseCapacity: &none},
		}
	})
	if len(events) == 0 {
		events = []string{"*"}
	}
	cfg.Queues = []Queue{{Name: "q", Events: events}}
	return cfg
}

// spotInstance is one of group g.
func spotInstance(t *testing.T, s *Server) InstanceState {
	t.Helper()
	g, _ := s.Group("g")
	for _, i := range g.Instances {
		if i.CapacityType == spot {
			return i
		}
	}
	t.Fatal("no spot instance")
	return InstanceState{}
}

// delivered empties queue q and returns each message as "detail-type: subject".
func delivered(t *testing.T, c clients) []string {
	out := []string{}
	for got := receive(t, c); len(got) > 0; got = receive(t, c) {
		for _, m := range got {
			var e struct {
				Type   string `json:"detail-type"`
				Detail struct {
					Instance string `json:"instance-id"`
					Action   string `json:"instance-action"`
					State    string
				}
			}
			require.NoError(t, json.Unmarshal([]byte(*m.Body), &e))
			out = append(out, strings.Join(strings.Fields(strings.Join([]string{e.Type + ":", e.Detail.Instance, e.Detail.Action, e.Detail.State}, " ")), " "))
		}
	}
	return out
}

func TestInterruptedInstanceGoesAfterItsNotice(t *testing.T) {
	for _, tt := range []struct{ notice, want time.Duration }{{0, 2 * time.Minute}, {40 * time.Second, 40 * time.Second}} {
		inBubble(t, spotGroup(spotWarning), func(t *testing.T, s *Server, c clients) {
			victim := spotInstance(t, s)
			require.NoError(t, s.Interrupt(victim.ID, tt.notice))
			assert.Empty(t, cmp.Diff([]string{spotWarning + ": " + victim.ID + " terminate"}, delivered(t, c)), "messages (-want +got)")
			pass(tt.want - time.Second)
			assert.True(t, spotInstance(t, s).ID == victim.ID && count(s, Reclaimed) == 0, "it went before its time")
			pass(10 * time.Second)
			if g, _ := s.Group("g"); spotInstance(t, s).ID == victim.ID || count(s, Reclaimed) != 1 || len(g.Instances) != 4 {
				t.Errorf("it has not gone, or was not replaced: %+v", g)
			}
		})
	}
}

func TestInstanceTerminatedInTimeIsNotReplaced(t *testing.T) {
	inBubble(t, spotGroup(spotWarning), func(t *testing.T, s *Server, c clients) {
		victim := spotInstance(t, s)
		do(t, s, Deed{Kind: Interrupt, Instances: []string{victim.ID}, Notice: Duration(40 * time.Second)})
		_, err := terminate(t, c, true, &victim.ID)
		require.NoError(t, err)
		pass(5 * time.Minute)
		g, _ := s.Group("g")
		assert.Truef(t, g.Desired == 3 && len(g.Instances) == 3 && count(s, Reclaimed) == 0, "group %+v, %d reclaimed", g, count(s, Reclaimed))
	})
}

func TestEC2IgnoresHooksAfterTheNotice(t *testing.T) {
	cfg := spotGroup(spotWarning)
	cfg.AutoScalingGroups[0].LifecycleHooks = []LifecycleHook{{Name: "down", Transition: "terminating"}}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		victim := spotInstance(t, s)
		require.NoError(t, s.Interrupt(victim.ID, time.Minute))
		_, err := terminate(t, c, true, &victim.ID)
		require.NoError(t, err)
		pass(50 * time.Second)
		statesAre(t, c, "before", map[string]int{"InService": 3, "Terminating:Wait": 1})
		pass(15 * time.Second)
		statesAre(t, c, "after", map[string]int{"InService": 3})
	})
}

func TestDeedsAnnounceThemselves(t *testing.T) {
	for kind, want := range map[DeedKind]string{
		Interrupt: spotWarning, RecommendRebalance: rebalanceAdvice, InterruptReservation: capacityWarning, ScheduleChange: healthEvent,
	} {
		inBubble(t, spotGroup(spotWarning, rebalanceAdvice, capacityWarning, healthEvent), func(t *testing.T, s *Server, c clients) {
			do(t, s, Deed{Kind: kind, Notice: Duration(time.Minute)})
			got := delivered(t, c)
			assert.Truef(t, len(got) == 1 && strings.HasPrefix(got[0], want+":") && count(s, Announced) == 1, "%s was announced as %q", kind, got)
			pass(2 * time.Minute)
			gone := 1
			if kind == RecommendRebalance {
				gone = 0
			}
			assert.Truef(t, count(s, Reclaimed) == gone, "%s: %d instances went, want %d", kind, count(s, Reclaimed), gone)
		})
	}
}

func TestHealthEventOfOtherRegionTakesNothing(t *testing.T) {
	cfg := spotGroup(healthEvent)
	cfg.Region = "cn-north-1"
	cfg.AutoScalingGroups[0].Zones = []string{"cn-north-1a"}
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: ScheduleChange, Backup: true, Notice: Duration(time.Minute)})
		do(t, s, Deed{Kind: ScheduleChange, Notice: Duration(time.Minute)})
		got := bodies(receive(t, c))
		if len(got) != 2 || !strings.Contains(got[0], `"backupEvent":"True"`) || !strings.Contains(got[1], `"backupEvent":"False"`) ||
			!strings.Contains(got[0], "arn:aws-cn:health:cn-north-1::event/") {
			t.Errorf("messages %q", got)
		}
		pass(2 * time.Minute)
		assert.Equal(t, 1, count(s, Reclaimed), "went")
	})
}

func TestStatesAreAnnouncedFromLaunchToEnd(t *testing.T) {
	inBubble(t, spotGroup(stateChange), func(t *testing.T, s *Server, c clients) {
		assert.Empty(t, delivered(t, c), "instances that were there before were announced")
		setDesired(t, c, "g", 5)
		pass(5 * time.Second)
		g, _ := s.Group("g")
		id := g.Instances[4].ID
		_, err := terminate(t, c, true, &id)
		require.NoError(t, err)
		pass(5 * time.Second)
		want := []string{}
		for _, state := range []string{"pending", "running", "shutting-down", "terminated"} {
			want = append(want, stateChange+": "+id+" "+state)
		}
		assert.Empty(t, cmp.Diff(want, delivered(t, c)), "states (-want +got)")
		require.NoError(t, s.Reclaim(g.Instances[0].ID))
		pass(5 * time.Second)
		got := delivered(t, c)
		for n, state := range []string{"shutting-down", "terminated"} {
			line := stateChange + ": " + g.Instances[0].ID + " " + state
			assert.Truef(t, slices.Contains(got, line), "%d: no %q among %q", n, line, got)
		}
	})
}

func TestFailedLaunchesAreRecorded(t *testing.T) {
	inBubble(t, spotGroup(launchUnsuccessful), func(t *testing.T, s *Server, c clients) {
		s.AddShortage(Shortage{CapacityType: spot})
		setDesired(t, c, "g", 5)
		pass(3 * time.Second)
		got := bodies(receive(t, c))
		assert.Truef(t, len(got) != 0 && strings.Contains(got[0], `"StatusCode":"Failed"`) && strings.Contains(got[0], "There is no Spot capacity available"),
			"messages %q", got)
	})
}

func TestDuplicatesAndLagOfEvents(t *testing.T) {
	cfg := spotGroup(rebalanceAdvice)
	cfg.Queues[0].Duplicates, cfg.Queues[0].Lag = 100, Duration(30*time.Second)
	inBubble(t, cfg, func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: RecommendRebalance})
		pass(29 * time.Second)
		assert.Equal(t, 0, s.Queues()[0].Sent, "messages before the lag was over")
		pass(2 * time.Second)
		got := bodies(receive(t, c))
		assert.Truef(t, len(got) == 2 && got[0] == got[1], "messages %q, want the same twice", got)
	})
}

func TestInvalidQueueConfigs(t *testing.T) {
	for _, q := range []Queue{
		{Name: ""}, {Name: "a/b"}, {Name: "q", Events: []string{"EC2 Something"}}, {Name: "q", Duplicates: 101},
		{Name: "q", VisibilityTimeout: Duration(13 * time.Hour)}, {Name: "q", Retention: Never},
	} {
		_, err := New(Config{Queues: []Queue{q}})
		assert.Errorf(t, err, "%+v was accepted", q)
	}
	_, err := New(Config{Queues: []Queue{{Name: "q"}, {Name: "q"}}})
	assert.Error(t, err, "two queues of one name were accepted")
}
