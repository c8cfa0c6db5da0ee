package cooldown

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

func TestInstanceEndsWhatItProvesWrong(t *testing.T) {
	spot := Pool{InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: awsmessage.Spot}
	unknown := Pool{InstanceType: "m5.large", Zone: "us-west-2a"}
	for _, tt := range []struct {
		name     string
		group    string
		pool     Pool
		launched time.Duration // after the failure
		ends     bool
	}{
		{"the same pool, later", "other", spot, time.Second, true},
		{"the same pool, earlier", "other", spot, -time.Second, false},
		{"bought in a way that nobody knows", "a", unknown, time.Second, false},
		{"another type", "a", Pool{InstanceType: "c5.large", Zone: "us-west-2a", CapacityType: awsmessage.Spot}, time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := clocktesting.NewFakeClock(time.Now())
			l := NewList(now)
			l.Fail("a", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: awsmessage.Spot}, "", time.Time{})
			l.Succeed(tt.group, tt.pool, now.Now().Add(tt.launched))
			if _, holds := l.Of("a", spot); holds == tt.ends {
				t.Errorf("the cool-down holds: %t, want %t", holds, !tt.ends)
			}
		})
	}
}

func TestLowSpotPriceCoolsDownItsGroupOnly(t *testing.T) {
	for _, text := range []string{"", "Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.5762."} {
		code := "SpotMaxPriceTooLow"
		if text != "" {
			code = ""
		}
		l := NewList(clocktesting.NewFakeClock(time.Now()))
		pool := Pool{InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: awsmessage.Spot}
		l.Fail("a", awsmessage.OfLaunch(code, text, pool.InstanceType, pool.Zone, awsmessage.Spot), text, time.Time{})
		for group, want := range map[string]bool{"a": true, "b": false} {
			p, holds := l.Of(group, pool)
			if holds != want || holds && (p.Class != awsmessage.NoCapacity || p.length != capacityCoolDown) {
				t.Errorf("%q: group %s is left alone: %t, %+v, want %t for lack of capacity", text, group, holds, p, want)
			}
		}
	}
}
