package cooldown

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
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
			l.Fail("a", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: awsmessage.Spot}, "")
			l.Succeed(tt.group, tt.pool, now.Now().Add(tt.launched), false)
			_, holds := l.Of("a", spot)
			assert.Truef(t, holds != tt.ends, "the cool-down holds: %t, want %t", holds, !tt.ends)
		})
	}
}

func TestLackOfTheGroupsOwnCoolsDownItAlone(t *testing.T) {
	for _, tt := range []struct{ code, text, capacityType string }{
		{"SpotMaxPriceTooLow", "", awsmessage.Spot},
		{"", "Your Spot request price of 0.001 is lower than the minimum required Spot request fulfillment price of 0.5762.", awsmessage.Spot},
		{"ReservationCapacityExceeded", "", awsmessage.OnDemand},
		{"", "The requested reservation does not have sufficient compatible and available capacity for this request.", awsmessage.OnDemand},
		{"", "Your Capacity Block reservation cr-1 is not active yet. Launching EC2 instance failed.", awsmessage.OnDemand},
		{"InsufficientCapacityOnHost", "", awsmessage.OnDemand},
		{"", "You do not have a host with a matching configuration and sufficient capacity.", awsmessage.OnDemand},
	} {
		l := NewList(clocktesting.NewFakeClock(time.Now()))
		pool := Pool{InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: tt.capacityType}
		l.Fail("a", awsmessage.OfLaunch(tt.code, tt.text, pool.InstanceType, pool.Zone, pool.CapacityType), tt.text)
		for group, want := range map[string]bool{"a": true, "b": false} {
			p, holds := l.Of(group, pool)
			if holds != want || holds && (p.Class != awsmessage.NoCapacity || p.length != capacityCoolDown) {
				t.Errorf("%s %q: group %s is left alone: %t, %+v, want %t for lack of capacity", tt.code, tt.text, group, holds, p, want)
			}
		}
	}
}

// A hook may abandon one instance of many. One that abandons all is tried again all the same.
func TestAbandonedInstanceClosesItsGroupForMinutes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"Instance failed to complete user's Lifecycle Action: Lifecycle Action with token 95c60857 was abandoned: Heartbeat Timeout": 3 * time.Minute,
		"The key pair 'gone' does not exist": 15 * time.Minute,
	} {
		now := clocktesting.NewFakeClock(time.Now())
		l := NewList(now)
		l.Fail("a", awsmessage.Of("", text), text)
		p, _ := l.Of("a", Pool{InstanceType: "m5.large"})
		assert.Equal(t, want, p.Until.Sub(now.Now()), text)
	}
}

// An accepted launch says nothing about its hook, which may take minutes.
func TestAHookThatAbandonsAllIsOneProblem(t *testing.T) {
	const text = "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token 95c60857 was abandoned: Heartbeat Timeout"
	now, pools := clocktesting.NewFakeClock(time.Now()), []Pool{{InstanceType: "m5.large", CapacityType: awsmessage.OnDemand}}
	l := NewList(now)
	refused := func() bool { _, refused := l.Latest("a", pools); return refused }
	for range 3 {
		l.Fail("a", awsmessage.Of("", text), text)
		now.Step(3*time.Minute + time.Second)
		l.Succeed("a", pools[0], now.Now(), false)
		now.Step(9 * time.Minute)
		assert.True(t, refused(), "before the hook abandons the next launch")
	}
	assert.False(t, l.Probing("a", pools[0]), "launches are full")
	l.Succeed("a", pools[0], now.Now(), true)
	assert.False(t, refused(), "with an instance in service")
	l.Fail("a", awsmessage.Of("", text), text)
	now.Step(14 * time.Minute)
	assert.False(t, refused(), "long after the last try")
	const dry = "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Server.InsufficientInstanceCapacity: Insufficient capacity"
	l.Fail("a", awsmessage.Of("", dry), dry)
	now.Step(3*time.Minute + time.Second)
	assert.True(t, l.Probing("a", pools[0]), "without capacity one instance is tried first")
}

// The mixed group may buy on demand next. So a spot shortage counts for it only once it has met one itself.
func TestOtherGroupsRenewNoMixedGroupsCoolDown(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	l := NewList(now)
	spot := Pool{InstanceType: "m5.large", Zone: "us-west-2a", CapacityType: awsmessage.Spot}
	unknown := Pool{InstanceType: "m5.large", Zone: "us-west-2a"}
	failed := awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: spot.InstanceType, Zone: spot.Zone, CapacityType: spot.CapacityType}
	l.Fail("mixed", failed, "")
	now.Step(capacityCoolDown / 2)
	l.Fail("spot", failed, "")
	for _, mixed := range []bool{true, false} { // before and after the end of its own cool-down
		for _, tt := range []struct {
			group string
			pool  Pool
			want  bool
		}{{"mixed", unknown, mixed}, {"other mixed", unknown, false}, {"spot", spot, true}, {"other spot", spot, true}} {
			_, holds := l.Of(tt.group, tt.pool)
			assert.Equalf(t, tt.want, holds, "group %s is left alone", tt.group)
		}
		listed := l.Holding("other spot", func() []Pool { return []Pool{spot} })
		if end := now.Now().Add(capacityCoolDown); mixed && (len(listed) != 1 || !listed[0].Until.Equal(end)) {
			t.Errorf("cool-downs %+v of the pool, want the later, until %v", listed, end)
		}
		now.Step(capacityCoolDown / 2)
	}
}

func TestReportedFailureReplacesAnUnansweredLaunch(t *testing.T) {
	l := NewList(clocktesting.NewFakeClock(time.Now()))
	l.Unanswered("a", "us-west-2a", "timeout")
	l.Fail("a", awsmessage.Meaning{Class: awsmessage.NoCapacity, Zone: "us-west-2a"}, "")
	assert.Empty(t, l.UnansweredZones("a"), "unanswered launches, want none")
}

// EC2 limits spot instances by family of types, and the zones of a shortage are the groups' own where AWS names none.
func TestFailureClosesNoMoreThanAWSNames(t *testing.T) {
	const a, b = "us-west-2a", "us-west-2b"
	gpu := Pool{InstanceType: "g4dn.xlarge", Zone: a, CapacityType: awsmessage.Spot}
	for _, tt := range []struct {
		name   string
		failed awsmessage.Meaning // of the group "gpu"
		group  string
		pool   Pool
		want   bool
	}{
		{"spot quota, its type", awsmessage.Meaning{Class: awsmessage.SpotLimit, InstanceType: "g4dn.xlarge", Zone: a}, "other", gpu, true},
		{"spot quota, its type elsewhere", awsmessage.Meaning{Class: awsmessage.SpotLimit, InstanceType: "g4dn.xlarge", Zone: a}, "other", Pool{"g4dn.xlarge", b, awsmessage.Spot, false}, true},
		{"spot quota, its type on demand", awsmessage.Meaning{Class: awsmessage.SpotLimit, InstanceType: "g4dn.xlarge", Zone: a}, "other", Pool{"g4dn.xlarge", a, awsmessage.OnDemand, false}, false},
		{"spot quota, another type", awsmessage.Meaning{Class: awsmessage.SpotLimit, InstanceType: "g4dn.xlarge", Zone: a}, "other", Pool{"m5.large", a, awsmessage.Spot, false}, false},
		{"spot quota of an unnamed type", awsmessage.Meaning{Class: awsmessage.SpotLimit}, "gpu", gpu, true},
		{"spot quota of an unnamed type, another group", awsmessage.Meaning{Class: awsmessage.SpotLimit}, "other", Pool{"m5.large", a, awsmessage.Spot, false}, false},
		{"shortage in an unnamed zone", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: "g4dn.xlarge"}, "gpu", gpu, true},
		{"shortage in an unnamed zone, another group", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: "g4dn.xlarge"}, "other", gpu, false},
		{"denied type, elsewhere", awsmessage.Meaning{Class: awsmessage.Permission, InstanceType: "g4dn.xlarge", Zone: b}, "gpu", gpu, true},
		{"denied type, another type", awsmessage.Meaning{Class: awsmessage.Permission, InstanceType: "p4d.24xlarge", Zone: a}, "gpu", gpu, false},
		{"denied type, another group", awsmessage.Meaning{Class: awsmessage.Permission, InstanceType: "g4dn.xlarge", Zone: a}, "other", gpu, false},
		{"denied without a type", awsmessage.Meaning{Class: awsmessage.Permission, Zone: b}, "gpu", gpu, true},
		{"shortage in a zone, another group", awsmessage.Meaning{Class: awsmessage.NoCapacity, InstanceType: "g4dn.xlarge", Zone: a}, "other", gpu, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := NewList(clocktesting.NewFakeClock(time.Now()))
			l.Fail("gpu", tt.failed, "")
			_, holds := l.Of(tt.group, tt.pool)
			assert.Equalf(t, tt.want, holds, "%s of group %s is left alone", tt.pool, tt.group)
		})
	}
}
