package fakeaws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

func staleConfig(reads StaleReads) Config {
	cfg := oneGroup()
	cfg.StaleReads = reads
	return cfg
}

func TestWorstStaleReadingMissesTheWriteBefore(t *testing.T) {
	inBubble(t, staleConfig(StaleReads{Most: Duration(3 * time.Second), Worst: true}), func(t *testing.T, s *Server, c clients) {
		pass(10 * time.Second)
		for round := range int32(3) {
			setDesired(t, c, "g", round+1)
			for n, want := range []int32{round, round + 1, round, round + 1} {
				if got := *describe(t, c, "g").DesiredCapacity; got != want {
					t.Errorf("reading %d after desired %d was set shows %d, want %d", n+1, round+1, got, want)
				}
			}
			pass(4 * time.Second)
		}
	})
}

func TestStaleReadingOfInstancesLacksNewOnes(t *testing.T) {
	inBubble(t, staleConfig(StaleReads{Most: Duration(3 * time.Second), Worst: true}), func(t *testing.T, s *Server, c clients) {
		pass(10 * time.Second)
		out, err := launch(t.Context(), c, "token", 1)
		if err != nil {
			t.Fatal(err)
		}
		in := &ec2.DescribeInstancesInput{InstanceIds: out.Instances[0].InstanceIds}
		_, err = c.ec2.DescribeInstances(t.Context(), in)
		wantAPIError(t, err, "InvalidInstanceID.NotFound", "The instance ID '"+in.InstanceIds[0]+"' does not exist")
		if _, err = c.ec2.DescribeInstances(t.Context(), in); err != nil {
			t.Errorf("second reading: %v", err)
		}
		all, err := c.ec2.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{})
		if err != nil || len(all.Reservations) != 0 {
			t.Errorf("third reading: %d instances, error %v; want none yet", len(all.Reservations), err)
		}
	})
}

func TestStaleReadingOfActivitiesIsAsItWas(t *testing.T) {
	inBubble(t, staleConfig(StaleReads{Most: Duration(3 * time.Second), Worst: true}), func(t *testing.T, s *Server, c clients) {
		pass(10 * time.Second)
		setDesired(t, c, "g", 1)
		pass(600 * time.Millisecond)
		if got := activities(t, c, "g"); len(got) != 0 {
			t.Errorf("600 ms after the write %d activities are shown, want none", len(got))
		}
		if got := activities(t, c, "g"); len(got) != 1 || got[0].StatusCode != "PreInService" {
			t.Errorf("the present shows %+v, want one activity that is not over", got)
		}
		pass(2 * time.Second)
		if got := activities(t, c, "g"); len(got) != 0 {
			t.Errorf("a reading from before the launch shows %d activities, want none", len(got))
		}
		pass(time.Second)
		activities(t, c, "g")
		if got := activities(t, c, "g"); len(got) != 1 || got[0].StatusCode != "PreInService" || got[0].EndTime != nil {
			t.Errorf("a reading from during the launch shows %+v, want it under way", got)
		}
	})
}

func TestStaleReadsConcernChosenActionsOnly(t *testing.T) {
	inBubble(t, staleConfig(StaleReads{Most: Duration(3 * time.Second), Worst: true, Actions: []string{"DescribeScalingActivities"}}), func(t *testing.T, s *Server, c clients) {
		pass(10 * time.Second)
		setDesired(t, c, "g", 1)
		if got := *describe(t, c, "g").DesiredCapacity; got != 1 {
			t.Errorf("desired capacity is read as %d, want 1", got)
		}
		pass(time.Second)
		if got := activities(t, c, "g"); len(got) != 0 {
			t.Errorf("%d activities are shown, want none yet", len(got))
		}
	})
}

func TestStaleReadsAreReadFromConfig(t *testing.T) {
	for text, want := range map[string]StaleReads{
		"staleReads: 2s":                          {Most: Duration(2 * time.Second)},
		"staleReads: {most: 3s, worst: true}":     {Most: Duration(3 * time.Second), Worst: true},
		"staleReads: {most: 1s, actions: [A, B]}": {Most: Duration(time.Second), Actions: []string{"A", "B"}},
		"region: us-west-2":                       {},
	} {
		cfg, err := ParseConfig([]byte(text))
		if err != nil || cfg.StaleReads.Most != want.Most || cfg.StaleReads.Worst != want.Worst || len(cfg.StaleReads.Actions) != len(want.Actions) {
			t.Errorf("%q: %+v, error %v; want %+v", text, cfg.StaleReads, err, want)
		}
	}
	if _, err := ParseConfig([]byte("staleReads: {must: 3s}")); err == nil {
		t.Error("a field that does not exist is accepted")
	}
}
