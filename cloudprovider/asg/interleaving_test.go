package asg_test

import (
	"testing"
	"testing/synctest"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A reading that comes between AWS's doing what we ask and our knowing must not make us count it twice.

func TestReadingDuringWithdrawalCountsOnce(t *testing.T) {
	t.Parallel()
	w := withoutCapacity(t, 0)
	w.increase(3)
	w.calls.afterWrite = func() { _ = w.cache.Refresh(t.Context()) }
	w.withdraw(2)
	w.calls.afterWrite = nil
	assert.Equal(t, [2]int{1, 1}, [2]int{w.group("a").Requested, w.group("a").DesiredCapacity}, "requested and desired")
	w.increase(2)
	w.withdraws(3, 3, 0)
}

func TestReadingDuringTerminationCountsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 3, 10)).started()
	w.calls.afterWrite = func() { _ = w.cache.Refresh(t.Context()) }
	w.must(w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]))
	w.agreed(2)
}

func TestRequestWithLostAnswerIsOurs(t *testing.T) {
	t.Parallel()
	w := withoutCapacity(t, 0)
	w.calls.loseAnswer = true
	w.must(w.cache.Increase(t.Context(), "a", 2))
	w.calls.loseAnswer = false
	w.withdraws(2, 2, 0)
}

func TestRequestWithoutOutcomeIsOurs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := withoutCapacity(t, 0)
		w.calls.loseAnswer = true
		w.calls.afterWrite = func() { w.aws.Inject(fakeaws.Fault{Action: "DescribeAutoScalingGroups", Code: "ServiceUnavailable"}) }
		assert.Error(t, w.cache.Increase(t.Context(), "a", 2), "no error although neither the answer nor a reading came")
		w.calls.loseAnswer, w.calls.afterWrite = false, nil
		w.aws.ClearFaults()
		w.withdraws(2, 2, 0)
	})
}

func TestRefusedRequestIsNotOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, scalingGroup("a", 0, 0, 10)).started()
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	w.aws.Deny("SetDesiredCapacity")
	assert.Error(t, w.cache.Increase(t.Context(), "a", 2), "no error although the call was denied")
	w.aws.ClearFaults()
	w.setDesired(2) // another's
	w.withdraws(2, 0, 2)
}

func TestRefusedWithdrawalIsOfferedOnce(t *testing.T) {
	t.Parallel()
	w := withoutCapacity(t, 0)
	w.increase(2)
	require.Equal(t, 2, w.group("a").Withdrawable(), "withdrawable")
	w.aws.Deny("SetDesiredCapacity")
	_, err := w.cache.Withdraw(t.Context(), "a", 2)
	assert.Error(t, err, "no error although the call was denied")
	assert.Equal(t, 0, w.group("a").Withdrawable(), "withdrawable after the refusal")
}

func TestHangingActivitiesDelayNoOtherGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scalingGroup("bad", 0, 0, 5), scalingGroup("good", 0, 0, 5)).running()
		w.aws.AddShortage(fakeaws.Shortage{Group: "bad"})
		asked := make(chan struct{}, 100)
		w.calls.activities = func(name string) bool { asked <- struct{}{}; return name == "bad" }
		w.must(w.cache.Increase(t.Context(), "bad", 1))
		<-asked
		w.must(w.cache.Increase(t.Context(), "good", 1))
		w.waitWhile("the good group's instance is not seen", func() bool { return len(w.group("good").Instances) == 0 })
	})
}
