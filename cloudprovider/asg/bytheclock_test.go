package asg_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// limits are the sizes of group "a".
func (w *world) limits() string {
	w.t.Helper()
	g := w.group("a")
	return fmt.Sprintf("%d to %d", g.MinSize, g.MaxSize)
}

// A bubble begins at midnight UTC. The first reading is a minute old at most.
func TestScheduleWakesTheCore(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		scheduled := scalingGroup("a", 0, 0, 9)
		scheduled.Tags[group.TagSchedule+"early"] = "30 any any any any for=10m min=2 max=4"
		w := newWorld(t, scheduled).running()
		time.Sleep(time.Minute)
		w.wakes()
		for _, step := range []struct {
			started time.Duration // a node that was Ready so long after its launch, if any
			until   time.Duration // since midnight
			sizes   string
			woken   bool
		}{
			{until: 27*time.Minute - 5*time.Second, sizes: "0 to 9"},
			{until: 27*time.Minute + 5*time.Second, sizes: "2 to 9", woken: true},
			{started: 45 * time.Second, until: 28 * time.Minute, sizes: "2 to 9"}, // as it has begun
			{started: time.Hour, until: 29 * time.Minute, sizes: "2 to 9"},        // through an outage
			{until: 30*time.Minute + 5*time.Second, sizes: "2 to 4", woken: true},
			{until: 40*time.Minute - 5*time.Second, sizes: "2 to 4"},
			{until: 40*time.Minute + 5*time.Second, sizes: "0 to 9", woken: true},
			{until: 89*time.Minute - 5*time.Second, sizes: "0 to 9"},
			{until: 89*time.Minute + 5*time.Second, sizes: "2 to 9", woken: true},
		} {
			if step.started > 0 {
				w.cache.Started("a", step.started)
			}
			time.Sleep(time.Until(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(step.until)))
			synctest.Wait()
			assert.Equalf(t, step.sizes, w.limits(), "the sizes %s after midnight", step.until)
			assert.Equalf(t, step.woken, w.wakes(), "the core was woken %s after midnight", step.until)
		}
	})(t)
}

// A node out of the warm pool is Ready sooner than the next one, if the pool is empty.
func TestScheduleOfAGroupWithAWarmPoolCountsOnNone(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		pooled := scalingGroup("a", 0, 0, 9)
		pooled.WarmPool = &fakeaws.WarmPool{Warmed: 1}
		pooled.Tags[group.TagSchedule+"early"] = "30 any any any any for=10m min=2"
		w := newWorld(t, pooled).running()
		w.refresh()
		w.cache.Started("a", 20*time.Second)
		time.Sleep(time.Until(time.Date(2000, 1, 1, 0, 27, 5, 0, time.UTC)))
		synctest.Wait()
		assert.Equal(t, "2 to 9", w.limits(), "three minutes before the time the sizes")
		w.cache.Started("a", 5*time.Minute)
		time.Sleep(time.Until(time.Date(2000, 1, 1, 1, 24, 50, 0, time.UTC)))
		synctest.Wait()
		assert.Equal(t, "2 to 9", w.limits(), "as long before the time as a cold start takes, the sizes")
	})(t)
}

func TestScheduleLimitsWrites(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		scheduled := scalingGroup("a", 0, 3, 9)
		scheduled.Tags[group.TagSchedule+"always"] = "any any any any any for=1h min=3 max=4"
		w := newWorld(t, scheduled).running()
		assert.Error(t, w.cache.Terminate(t.Context(), "a", w.ids("a")[:1]), "termination below the minimum")
		w.wantDesired(3)
		w.increasesTo(5, 4) // want the maximum of 4
		state, _ := w.aws.Group("a")
		assert.Truef(t, state.Min == 0 && state.Max == 9, "AWS's sizes are %d to %d, want them as they were", state.Min, state.Max)
		w.must(w.aws.SetTags("a", map[string]*string{group.TagSchedule + "always": nil}))
		w.refresh()
		assert.Equal(t, "0 to 9", w.limits(), "without the tag the sizes")
	})(t)
}

// A maximum by the clock below the size of a group does not let AWS end what it has launched.
func TestArrivalAboveTheMaximumOfAScheduleIsKept(t *testing.T) {
	w := short(t)
	w.withdraw(2)
	one := "any any any any any for=1h max=1"
	w.must(w.aws.SetTags("a", map[string]*string{group.TagSchedule + "always": &one}))
	w.refresh()
	w.aws.ClearShortages()
	w.must(w.aws.Suspend("a", "Terminate"))
	arrive(t, w, 1)
	asg.ReadMoving(w.cache, t.Context())
	assert.Equal(t, 4, w.desired("a"), "desired capacity")
	assert.Equal(t, "0 to 1", w.limits(), "sizes")
}

// actions has the Cache see scheduled actions.
func (w *world) actions() *world {
	return w.with(func(o *asg.Options) { o.Actions = w.calls.AutoScaling })
}

func TestScheduledActionsAreSeenAhead(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, 9 * time.Minute, -9 * time.Minute} { // AWS's clock
		t.Run(ahead.String(), bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 6, 9), scalingGroup("b", 0, 6, 9)).actions()
			w.aws.SetClockSkew(ahead)
			least, most := 4, 5
			w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ScheduledAction, Group: "a", After: fakeaws.Duration(time.Hour), Min: &least, Max: &most}))
			began := time.Now()
			w.running()
			for _, step := range []struct {
				at      time.Duration
				sizes   string
				surplus int
			}{
				{44 * time.Minute, "0 to 9", 0},
				{46 * time.Minute, "0 to 5", 1},
				{58 * time.Minute, "4 to 5", 1},
				{62 * time.Minute, "4 to 5", 0}, // AWS has carried it out, and a reading shows it
				{2 * time.Hour, "4 to 5", 0},
			} {
				time.Sleep(time.Until(began.Add(step.at)))
				synctest.Wait() // for a reading at this very moment
				surplus, _ := w.group("a").Surplus()
				assert.Equalf(t, step.sizes, w.limits(), "the sizes after %s", step.at)
				assert.Equalf(t, step.surplus, surplus, "the surplus after %s", step.at)
				b := w.group("b")
				assert.Truef(t, b.MinSize == 0 && b.MaxSize == 9, "another group has sizes from %d to %d", b.MinSize, b.MaxSize)
			}
			// One in a minute until the action is over, and one in ten minutes then.
			assert.LessOrEqual(t, w.described("DescribeScheduledActions"), 75, "calls in two hours")
		}))
	}
}

// A look-up after the action shows nothing of it, or its next time. The group's reading is from before it.
func TestSizesOfAnActionHoldUntilItsGroupIsRead(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{0, 24 * time.Hour} {
		t.Run(every.String(), bubbled(func(t *testing.T) {
			w := newWorld(t, scalingGroup("a", 0, 6, 9)).with(func(o *asg.Options) { o.RefreshInterval = 10 * time.Minute }).actions()
			least, most := 4, 7
			w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ScheduledAction, Group: "a", After: fakeaws.Duration(25 * time.Minute), Every: fakeaws.Duration(every),
				Min: &least, Max: &most}))
			began := time.Now()
			w.running()
			for _, at := range []time.Duration{24 * time.Minute, 25*time.Minute + 10*time.Second, 26*time.Minute + 10*time.Second, 26*time.Minute + 50*time.Second} {
				time.Sleep(time.Until(began.Add(at)))
				synctest.Wait()
				assert.Equalf(t, "4 to 7", w.limits(), "the sizes after %s", at)
			}
		}))
	}
}

// Another group has actions already.
func TestScheduledActionIsSeenAtShortNotice(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 6, 9), scalingGroup("b", 0, 6, 9)).actions()
		most := 5
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ScheduledAction, Group: "b", After: fakeaws.Duration(24 * time.Hour), Max: &most}))
		w.running()
		time.Sleep(time.Minute)
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ScheduledAction, Group: "a", After: fakeaws.Duration(5 * time.Minute), Max: &most}))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		surplus, _ := w.group("a").Surplus()
		assert.Equal(t, 1, surplus, "nodes to drain before AWS ends one")
	})(t)
}

// The first loop of a new leader may launch before anything runs beside it.
func TestFirstLoopKnowsShiftsAndScheduledActions(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		shifted, most := shiftable("a"), 5
		shifted.ShiftedZones = []string{"us-west-2b"}
		w := newWorld(t, shifted).actions()
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ScheduledAction, Group: "a", After: fakeaws.Duration(10 * time.Minute), Max: &most}))
		w.started()
		assert.True(t, w.cache.Shifted(w.group("a"), "us-west-2b"), "the shift is known")
		assert.Equal(t, "0 to 5", w.limits(), "sizes")
	})(t)
}

func TestDeniedLookForScheduledActionsChangesNothing(t *testing.T) {
	t.Parallel()
	bubbled(func(t *testing.T) {
		w := newWorld(t, scalingGroup("a", 0, 6, 9)).actions()
		most := 5
		w.must(w.aws.Do(fakeaws.Deed{Kind: fakeaws.ScheduledAction, Group: "a", After: fakeaws.Duration(20 * time.Minute), Max: &most}))
		denied := w.aws.Deny("DescribeScheduledActions")
		w.running()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		calls := w.described("DescribeScheduledActions")
		assert.Truef(t, w.limits() == "0 to 9" && calls != 0 && calls <= 10, "the sizes are %s after %d calls, want AWS's after a few", w.limits(), calls)
		w.aws.ClearFaults(denied)
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		assert.Equal(t, "0 to 5", w.limits(), "once it is allowed, the sizes")
	})(t)
}

func TestNextOfAScheduledAction(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { then := now.Add(d); return &then }
	number := func(n int32) *int32 { return &n }
	for _, tt := range []struct {
		name   string
		action types.ScheduledUpdateGroupAction
		want   string // with the time in UTC
	}{
		{"once", types.ScheduledUpdateGroupAction{StartTime: at(time.Hour), MinSize: number(2)}, "at least 2 from 2026-11-26 10:00"},
		{"over", types.ScheduledUpdateGroupAction{StartTime: at(-time.Hour), MinSize: number(2)}, ""},
		{"a desired capacity is both", types.ScheduledUpdateGroupAction{StartTime: at(time.Hour), MinSize: number(2), MaxSize: number(9), DesiredCapacity: number(4)},
			"at least 4 and at most 4 from 2026-11-26 10:00"},
		{"to nothing", types.ScheduledUpdateGroupAction{StartTime: at(time.Hour), MinSize: number(0), MaxSize: number(0)}, "at most 0 from 2026-11-26 10:00"},
		{"again and again", types.ScheduledUpdateGroupAction{Recurrence: aws.String("0 8 * * MON"), TimeZone: aws.String("Europe/Berlin"), MaxSize: number(3)},
			"at most 3 from 2026-11-30 07:00"},
		{"from a start on", types.ScheduledUpdateGroupAction{Recurrence: aws.String("0 8 * * *"), StartTime: at(48 * time.Hour), MaxSize: number(3)},
			"at most 3 from 2026-11-29 08:00"},
		{"with its next time", types.ScheduledUpdateGroupAction{Recurrence: aws.String("0 8 * * *"), StartTime: at(23 * time.Hour), MaxSize: number(3)},
			"at most 3 from 2026-11-27 08:00"},
		{"until an end", types.ScheduledUpdateGroupAction{Recurrence: aws.String("0 8 * * *"), EndTime: at(time.Hour), MaxSize: number(3)}, ""},
		{"a cron line of AWS's own", types.ScheduledUpdateGroupAction{Recurrence: aws.String("0 8 * * 7"), StartTime: at(time.Hour), MaxSize: number(3)},
			"at most 3 from 2026-11-26 10:00"},
	} {
		got, comes := asg.NextOf(tt.action, now)
		text, _, _ := strings.Cut(got.String(), " UTC")
		assert.Truef(t, comes == (tt.want != "") && (!comes || text == tt.want), "%s: %q, %t, want %q", tt.name, text, comes, tt.want)
	}
}
