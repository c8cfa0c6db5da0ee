package asg_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// batchOnly are the terminations that name several instances.
var batchOnly = map[string]string{"InstanceIds.member.1": "*"}

// troubles are the ways in which AWS has trouble with one action for long.
var troubles = map[string]fakeaws.Fault{
	"fault":                {Code: "InternalFailure"},
	"fault, not in XML":    {Code: "NotImplementedError", Status: 500, Body: fakeaws.Garbled},
	"not available":        {Code: "ServiceUnavailable"},
	"fault, and does it":   {Code: "InternalFailure", Late: true},
	"hangs":                {Code: "InternalFailure", Latency: fakeaws.Duration(time.Hour)},
	"hangs, and does it":   {Latency: fakeaws.Duration(time.Hour)},
	"resets":               {Code: "InternalFailure", Body: fakeaws.Lost},
	"resets, and does it":  {Body: fakeaws.Lost},
	"garbles, and does it": {Body: fakeaws.Garbled},
	"contention":           {Code: "ResourceContention"},
}

// plain are the troubles of which the others are variants.
var plain = []string{"fault", "hangs", "resets"}

// troubled are the actions with which AWS may have trouble, and with which nothing else is lost.
var troubled = map[string]fakeaws.Fault{
	launchCall:                       {Action: launchCall},
	desiredCall:                      {Action: desiredCall},
	terminateCall + " with a batch":  {Action: terminateCall, Params: batchOnly},
	terminateCall + " of one":        {Action: terminateCall, Params: map[string]string{"InstanceId": "*"}},
	"DescribeScalingActivities":      {Action: "DescribeScalingActivities"},
	"DescribeLaunchTemplateVersions": {Action: "DescribeLaunchTemplateVersions"},
	"DescribeImages":                 {Action: "DescribeImages"},
}

func (w *world) inService(name string) (n int) {
	state, _ := w.aws.Group(name)
	for _, i := range state.Instances {
		if i.State == "InService" {
			n++
		}
	}
	return n
}

// grow asks each second for what is missing of so many, as the core does: from a group, or from a zone of it that is not left alone.
func (w *world) grow(name string, n int) {
	ctx := w.t.Context()
	groups, _, _ := w.cache.NodeGroups(w.group(name))
	target := 0
	for _, g := range groups {
		target += g.TargetInstances()
	}
	if target >= n {
		return
	}
	for _, g := range groups { // each that fails is followed by the next, as in one loop of the core
		var err error
		switch _, rests := w.cache.CoolDown(g); {
		case rests:
			continue
		case g.Zone == "":
			err = w.cache.Increase(ctx, name, n-target)
		default:
			err = zoneIncrease(w.cache, ctx, name, g.Zone, n-target)
		}
		if err == nil {
			return
		}
	}
}

// grows is how long it takes until the group has so many instances in service.
func (w *world) grows(name string, n int) time.Duration {
	w.t.Helper()
	return w.takes(func() { w.grow(name, n) }, func() string { return cmp.Diff(n, w.inService(name)) })
}

// shrinks is how long it takes until the group has so many instances, the others terminated together, as often as it takes.
func (w *world) shrinks(name string, n int) time.Duration {
	w.t.Helper()
	return w.takes(func() {
		if ids := w.stay(name); len(ids) > n {
			_ = w.cache.Terminate(w.t.Context(), name, ids[n:])
		}
	}, func() string {
		if state, _ := w.aws.Group(name); state.Desired != n || len(state.Instances) != n {
			return fmt.Sprintf("%d instances of %s, %d are desired, want %d", len(state.Instances), name, state.Desired, n)
		}
		return ""
	})
}

// stay are the instances of the group that are not on their way out, sorted.
func (w *world) stay(name string) (ids []string) {
	for _, i := range w.group(name).Counted() {
		ids = append(ids, i.ID)
	}
	slices.Sort(ids)
	return ids
}

// steady fails unless there are so many instances in the end, as many as are desired, and none was ended by AWS's own choice.
func (w *world) steady(name string, n int) {
	w.t.Helper()
	time.Sleep(2 * time.Minute)
	synctest.Wait() // for a reading at this very moment
	state, _ := w.aws.Group(name)
	if g := w.group(name); state.Desired != n || w.inService(name) != n || g.DesiredCapacity != n || len(g.Counted()) != n {
		w.t.Errorf("%s has %d of %d instances in service, and %d of %d are known, want %d", name, w.inService(name), state.Desired, len(g.Counted()), g.DesiredCapacity, n)
	}
	assert.Empty(w.t, w.kills(), "AWS ended by its own choice")
}

// spans takes the group through scale-ups and scale-downs, in more than 20 minutes, and returns how long each took. Around each of them, readings
// are up to three seconds old, so that none alone proves what AWS has not done.
func (w *world) spans() (took []time.Duration) {
	w.t.Helper()
	change := func(n int, do func(string, int) time.Duration) {
		w.aws.SetStaleReads(3 * time.Second)
		time.Sleep(10 * time.Second)
		took = append(took, do("a", n))
		time.Sleep(20 * time.Second)
		w.aws.SetStaleReads(0)
		w.steady("a", n)
	}
	for round := range 4 {
		change(6+round%2, w.grows)
		change(2, w.shrinks)
	}
	return took
}

func TestUnansweredActionDelaysLittle(t *testing.T) {
	const most = 20 * time.Second
	for name, g := range map[string]fakeaws.AutoScalingGroup{"one zone": scalingGroup("a", 0, 2, 20), "three zones": zonal("a", 0, 2, 20), "zone by zone": divided("a", 0, 2, 20)} {
		t.Run(name, func(t *testing.T) {
			config := usual(g)
			span := func(t *testing.T, fault *fakeaws.Fault) (took []time.Duration) {
				inBubble(config, nil, func(w *world) {
					time.Sleep(10 * time.Second)
					if fault != nil {
						w.aws.Inject(*fault)
					}
					took = w.spans()
				})(t)
				return took
			}
			usual := span(t, nil)
			for action, of := range troubled {
				for trouble, fault := range troubles {
					if of.Action != launchCall && (name != "one zone" || of.Params == nil && !slices.Contains(plain, trouble)) {
						continue // it is the same with any group, and with any trouble where there is no breaker
					}
					t.Run(action+" "+trouble, func(t *testing.T) {
						fault.Action, fault.Params = of.Action, of.Params
						for at, took := range span(t, &fault) {
							assert.Truef(t, took <= usual[at]+most, "change %d took %s, and without the trouble %s", at, took, usual[at])
						}
					})
				}
			}
		})
	}
}

func TestUnansweredActionDelaysNoOtherGroup(t *testing.T) {
	inBubble(usual(scalingGroup("a", 0, 2, 20), scalingGroup("b", 0, 2, 20)), nil, func(w *world) {
		time.Sleep(10 * time.Second)
		usualUp, usualDown := w.grows("b", 5), w.shrinks("b", 2)
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Group: "a", Latency: fakeaws.Duration(time.Hour)})
		w.aws.Inject(fakeaws.Fault{Action: terminateCall, Group: "a", Params: batchOnly, Latency: fakeaws.Duration(time.Hour)})
		for range 10 {
			other := make(chan struct{})
			go func() {
				defer close(other)
				_ = w.cache.Increase(w.t.Context(), "a", 3)
				_ = w.cache.Terminate(w.t.Context(), "a", w.stay("a")[2:])
			}()
			if up, down := w.grows("b", 5), w.shrinks("b", 2); up > usualUp+time.Second || down > usualDown+time.Second {
				w.t.Errorf("b took %s and %s, and without the trouble in a %s and %s", up, down, usualUp, usualDown)
			}
			<-other
		}
		for _, why := range fallbacks(w.cache) {
			assert.Truef(w.t, strings.HasPrefix(why, "a "), "problem %s of the trouble in a", why)
		}
	})(t)
}

// fallbacks are the reasons for which groups use an older call, by group.
func fallbacks(c *asg.Cache) (all []string) {
	for _, d := range c.Fallbacks() {
		all = append(all, strings.TrimSpace(d.Group+" "+d.Reason))
	}
	return all
}

// wish asks for two instances more or less, by the call.
func (w *world) wish(call, name string) error {
	if call == launchCall {
		return w.cache.Increase(w.t.Context(), name, 2)
	}
	return w.cache.Terminate(w.t.Context(), name, w.stay(name)[:2])
}

func TestThreeMissedWishesMoveAllToOlderCall(t *testing.T) {
	config := usual(scalingGroup("a", 0, 9, 30), scalingGroup("b", 0, 9, 30), scalingGroup("c", 0, 9, 30), scalingGroup("d", 0, 9, 30))
	for _, tt := range []struct {
		call   string
		fault  fakeaws.Fault
		reason string
	}{
		{launchCall, fakeaws.Fault{Action: launchCall, Code: "InternalFailure"}, asg.ReasonLaunchUnanswered},
		{terminateCall, fakeaws.Fault{Action: terminateCall, Params: batchOnly, Code: "InternalFailure"}, asg.ReasonBatchTerminationUnanswered},
	} {
		t.Run(tt.call, inBubble(config, nil, func(w *world) {
			time.Sleep(10 * time.Second)
			fault := w.aws.Inject(tt.fault)
			asked := func() (n int) {
				for _, call := range w.aws.CallLog() {
					if call.Action == tt.fault.Action && call.Faults > 0 {
						n++
					}
				}
				return n
			}
			wish := func(name string) time.Duration {
				began := time.Now()
				assert.NoErrorf(w.t, w.wish(tt.call, name), "%s", name)
				return time.Since(began)
			}
			for at, want := range [][]string{{"a " + tt.reason}, {"a " + tt.reason, "b " + tt.reason}, {tt.reason}} {
				took := wish(string(rune('a' + at)))
				assert.Truef(w.t, took <= 10*time.Second, "wish %d took %s", at+1, took)
				assert.Emptyf(w.t, cmp.Diff(want, fallbacks(w.cache)), "problems after wish %d (-want +got)", at+1)
			}
			before := asked()
			if took := wish("d"); took > time.Second || asked() != before {
				w.t.Errorf("a wish of another group took %s and asked AWS %d times by the newer call, want none", took, asked()-before)
			}
			time.Sleep(14 * time.Minute)
			assert.Empty(w.t, cmp.Diff([]string{tt.reason}, fallbacks(w.cache)), "problems after 14 minutes (-want +got)")
			time.Sleep(2 * time.Minute)
			assert.Empty(w.t, fallbacks(w.cache), "problems after 16 minutes")
			if wish("a"); asked() == before || !slices.Equal(fallbacks(w.cache), []string{tt.reason}) {
				w.t.Errorf("AWS was asked %d times after that, and the problems are %v, want another try and the same problem at once", asked()-before, fallbacks(w.cache))
			}
			time.Sleep(16 * time.Minute)
			w.aws.ClearFaults(fault)
			w.aws.ResetCalls()
			for _, name := range []string{"b", "c"} {
				wish(name)
			}
			older := desiredCall
			if tt.call == terminateCall {
				older = ""
			}
			if calls := w.aws.Calls(); calls[tt.call] != 2 || calls[older] != 0 || fallbacks(w.cache) != nil {
				w.t.Errorf("calls %v and problems %v once the trouble is over, want two of the newer call", calls, fallbacks(w.cache))
			}
		}))
	}
}

// Several groups want something in one loop, one after the other. They wait together for little more than one does.
func TestSequentialWishesWaitLittle(t *testing.T) {
	groups := []fakeaws.AutoScalingGroup{scalingGroup("a", 0, 4, 30), scalingGroup("b", 0, 4, 30), scalingGroup("c", 0, 4, 30), scalingGroup("d", 0, 4, 30)}
	config := usual(groups...)
	for call, tt := range map[string]struct {
		params map[string]string
		want   int
	}{launchCall: {nil, 6}, terminateCall: {batchOnly, 2}} {
		for trouble, fault := range troubles {
			t.Run(call+" "+trouble, inBubble(config, nil, func(w *world) {
				time.Sleep(10 * time.Second)
				fault.Action, fault.Params = call, tt.params
				w.aws.Inject(fault)
				began := time.Now()
				for _, g := range groups {
					assert.NoErrorf(w.t, w.wish(call, g.Name), "%s", g.Name)
				}
				assert.LessOrEqual(w.t, time.Since(began), 20*time.Second, "all wishes took")
				for _, g := range groups {
					w.steady(g.Name, tt.want)
				}
			}))
		}
	}
}

// AWS launches heavier instances than it was asked for, answers with a fault, and the reading after that is older.
func TestUnansweredHeavyLaunchIsKept(t *testing.T) {
	g := heavier("a")
	g.Zones, g.Tags = []string{"us-west-2a"}, map[string]string{discoveryTag: "true"}
	inBubble(usual(g), nil, func(w *world) {
		w.aws.SetStale(fakeaws.StaleReads{Most: fakeaws.Duration(3 * time.Second), Worst: true})
		time.Sleep(10 * time.Second)
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InternalFailure", Late: true})
		w.must(w.cache.Increase(w.t.Context(), "a", 2))
		time.Sleep(2 * time.Minute)
		for _, e := range w.aws.Events() {
			assert.Truef(w.t, e.Kind != fakeaws.DesiredChanged || e.To >= e.From, "the desired capacity went from %d to %d", e.From, e.To)
		}
		assert.Equal(w.t, 4, w.desired("a"), "desired capacity in units, want the 4 that AWS launched")
	})(t)
}

// AWS launches in each zone, answers with a fault, and the reading after that is older. No desired capacity can make up for it.
func TestUnansweredSynchronousLaunchIsKept(t *testing.T) {
	synchronously := func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }
	inBubble(usual(zonal("a", 0, 0, 20)), synchronously, func(w *world) {
		w.aws.SetStale(fakeaws.StaleReads{Most: fakeaws.Duration(3 * time.Second), Worst: true})
		time.Sleep(10 * time.Second)
		w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InternalFailure", Late: true})
		w.must(w.cache.Increase(w.t.Context(), "a", 2))
		assert.Equal(w.t, 2, w.desired("a"), "desired capacity")
	})(t)
}

// AWS launches and answers with a fault, and throttles or refuses the call from then on.
func TestLaunchThatIsRefusedAfterALostAnswerIsKept(t *testing.T) {
	for _, code := range []string{"Throttling", "AccessDenied"} {
		t.Run(code, inBubble(usual(zonal("a", 0, 0, 20)), nil, func(w *world) {
			w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InternalFailure", Late: true, Times: 1})
			w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: code})
			w.must(w.cache.Increase(w.t.Context(), "a", 5))
			w.steady("a", 5)
		}))
	}
}

func TestUnansweredPartOfLaunchIsReplaced(t *testing.T) {
	for name, fault := range troubles {
		t.Run(name, inBubble(usual(zonal("a", 0, 0, 20)), nil, func(w *world) {
			fault.Action, fault.Params = launchCall, map[string]string{"AvailabilityZones.member.1": "us-west-2b"}
			w.aws.Inject(fault)
			w.must(w.cache.Increase(w.t.Context(), "a", 6))
			w.steady("a", 6)
			assert.Empty(w.t, fallbacks(w.cache), "problems: AWS answered in other zones")
		}))
	}
}

func TestUnansweredAtomicLaunchStaysAtomic(t *testing.T) {
	for zones, g := range map[string]fakeaws.AutoScalingGroup{"": scalingGroup("a", 0, 0, 20), "us-west-2b": divided("a", 0, 0, 20)} {
		for name, fault := range troubles {
			t.Run(name+" "+zones, inBubble(usual(g), nil, func(w *world) {
				fault.Action = launchCall
				w.aws.Inject(fault)
				err := w.cache.IncreaseAtomically(w.t.Context(), "a", zones, 3)
				want := 0
				if err == nil {
					want = 3
				}
				done := strings.Contains(name, "does it")
				assert.Truef(w.t, done == (err == nil), "error %v, want one: %t", err, !done)
				w.steady("a", want)
			}))
		}
	}
}

// The mode has no older call: a group is left alone for a minute, and tried again.
func TestSynchronousModeRetries(t *testing.T) {
	inBubble(usual(scalingGroup("a", 0, 0, 20)), func(o *asg.Options) { o.LaunchMode = asg.LaunchSynchronous }, func(w *world) {
		fault := w.aws.Inject(fakeaws.Fault{Action: launchCall, Code: "InternalFailure"})
		for range 5 {
			w.failsToIncrease("a", 3)
			w.wantDesired(0)
			_, rests := w.cache.CoolDown(w.group("a"))
			assert.Truef(w.t, rests && fallbacks(w.cache) == nil, "left alone: %t, problems %v, want left alone without a problem", rests, fallbacks(w.cache))
			time.Sleep(time.Minute)
		}
		w.aws.ClearFaults(fault)
		w.must(w.cache.Increase(w.t.Context(), "a", 3))
		w.steady("a", 3)
	})(t)
}

func TestSlowLaunchIsPolledByToken(t *testing.T) {
	for _, slow := range []time.Duration{3 * time.Second, 11 * time.Second, 25 * time.Second} {
		for zone, g := range map[string]fakeaws.AutoScalingGroup{"": scalingGroup("a", 0, 0, 20), "us-west-2a": divided("a", 0, 0, 20)} {
			t.Run(slow.String()+" "+zone, func(t *testing.T) {
				config := fakeaws.Config{Delays: fakeaws.Delays{Synchronous: fakeaws.Duration(slow)}, LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large")},
					AutoScalingGroups: []fakeaws.AutoScalingGroup{g}}
				inBubble(config, nil, func(w *world) {
					launch := func(ctx context.Context) error {
						if zone == "" {
							return w.cache.Increase(ctx, "a", 2)
						}
						return w.cache.IncreaseZones(ctx, "a", map[string]int{zone: 2})[zone]
					}
					assert.NoErrorf(w.t, launch(w.t.Context()), "a launch that takes %s is reported as failed", slow)
					w.steady("a", 2)
					assert.Zero(w.t, w.aws.Calls()[desiredCall], "raises beside a slow launch")
					assert.Empty(w.t, fallbacks(w.cache), "problems")
				})(t)
			})
		}
	}
}

func TestRefusedBatchDisablesBatchesOnlyIfUnsupported(t *testing.T) {
	missing := "1 validation error detected: Value null at 'instanceId' failed to satisfy constraint: Member must not be null"
	for _, tt := range []struct {
		fault fakeaws.Fault
		off   bool
	}{
		{fault: fakeaws.Fault{Code: "ScalingActivityInProgress"}},
		{fault: fakeaws.Fault{Code: "ValidationError", Message: "You cannot do this now"}},
		{fault: fakeaws.Fault{Code: "ValidationError", Message: missing}, off: true},
		{fault: fakeaws.Fault{Code: "UnsupportedOperation"}, off: true},
	} {
		t.Run(tt.fault.Code+" "+tt.fault.Message, inBubble(usual(scalingGroup("a", 0, 3, 20), scalingGroup("b", 0, 60, 100)), nil, func(w *world) {
			time.Sleep(10 * time.Second)
			tt.fault.Action, tt.fault.Params, tt.fault.Times = terminateCall, batchOnly, 1
			w.aws.Inject(tt.fault)
			for _, step := range []struct {
				group string
				after time.Duration
				one   bool // call
			}{{"a", 0, false}, {"b", time.Minute, !tt.off}, {"b", 15 * time.Minute, true}} {
				time.Sleep(step.after)
				w.aws.ResetCalls()
				w.must(w.cache.Terminate(w.t.Context(), step.group, w.stay(step.group)[:3]))
				if got := w.aws.Calls()[terminateCall]; (got == 1) != step.one {
					w.t.Errorf("%s after %s: three instances took %d calls, want one: %t", step.group, step.after, got, step.one)
				}
			}
			assert.Empty(w.t, fallbacks(w.cache), "problems where AWS takes one instance a call")
		}))
	}
}
