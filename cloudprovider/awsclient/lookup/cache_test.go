package lookup

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestFailedLookUpPausesDespiteRequests(t *testing.T) {
	for _, tt := range []struct {
		name    string
		whole   bool
		perHour float64
		noticed time.Duration // a permission that is back
	}{
		{name: "about some keys", perHour: 33, noticed: 2 * time.Minute},
		{name: "about all there is", whole: true, perHour: 8, noticed: 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var calls atomic.Int32
				var allowed atomic.Bool
				ask := func(context.Context, []string) (map[string]bool, error) {
					calls.Add(1)
					if allowed.Load() {
						return nil, nil
					}
					return nil, &smithy.GenericAPIError{Code: "UnauthorizedOperation"}
				}
				c := New(clock.RealClock{}, true, Question[bool]{Ask: ask, AtOnce: 1, Whole: tt.whole})
				go c.Run(ctx)
				want := func(after time.Duration, n int32) {
					t.Helper()
					time.Sleep(after)
					synctest.Wait()
					assert.Equal(t, n, calls.Load(), "calls")
				}
				for range 20 {
					c.Want("a")
					want(time.Second, 1)
				}
				want(11*time.Second, 2)
				before := calls.Load()
				time.Sleep(time.Hour)
				synctest.Wait()
				assert.InDelta(t, tt.perHour, calls.Load()-before, 3, "calls in an hour, whose pauses are partly random")
				allowed.Store(true)
				want(tt.noticed, calls.Load()+1)
				want(time.Hour, calls.Load())
				c.Want("a")
				want(0, calls.Load()+1)
			})
		})
	}
}

func TestLastingFailureIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))))
		denied := &smithy.GenericAPIError{Code: "UnauthorizedOperation"}
		answers := []error{&smithy.GenericAPIError{Code: "ExpiredToken"}, &url.Error{Op: "Post", Err: errors.New("Forbidden")}, denied, denied, nil, denied}
		var asked atomic.Int32
		ask := func(context.Context, []string) (map[string]bool, error) {
			at := int(asked.Add(1))
			if at == len(answers) {
				cancel()
			}
			return nil, answers[at-1]
		}
		c := New(clock.RealClock{}, true, Question[bool]{Ask: ask, AtOnce: 1, Keep: 3 * time.Hour, Failure: "Could not look up", Remedy: "allow it"})
		go c.Run(ctx)
		for hour := 0; ctx.Err() == nil; hour++ {
			if hour != 1 { // nothing to ask for
				c.Want("a")
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		assert.Equalf(t, 3, strings.Count(log.String(), "Could not look up"), "lines, want one for each reason before AWS answered:\n%s", log.String())
		assert.Equalf(t, 1, strings.Count(log.String(), "none, it is tried again"), "lines, want one about the credentials:\n%s", log.String())
		assert.Equalf(t, 1, strings.Count(log.String(), "reach an endpoint"), "lines, want one about a proxy that refuses:\n%s", log.String())
		assert.Equalf(t, 1, strings.Count(log.String(), "allow it"), "lines, want one about the denial:\n%s", log.String())
	})
}

func TestKeysAreForgotten(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Now())
	c := New(now, true, Question[bool]{Keep: time.Hour})
	c.Want("open")
	c.Learn(map[string]bool{"known": true})
	now.Step(time.Hour)
	c.Want()
	_, known := c.Known().Of("known")
	assert.Truef(t, known && c.wanted["open"], "within the hour: %v are known and %v wanted", c.known, c.wanted)
	now.Step(time.Second)
	c.Want()
	assert.Truef(t, len(c.wanted)+len(c.dated)+len(c.Known().byKey) == 0, "still kept an hour later: %v, %v, %v", c.wanted, c.dated, c.known)
}

// Every loop asks about every instance.
func TestAskingForKnownKeysCopiesNothing(t *testing.T) {
	const keys = 50_000
	now := clocktesting.NewFakeClock(time.Now())
	c := New(now, true, Question[string]{Age: time.Hour, Keep: 2 * time.Hour})
	values := make(map[string]string, keys)
	for n := range keys {
		values[strconv.Itoa(n)] = "ami-0abc"
	}
	c.Learn(values)
	assert.LessOrEqual(t, testing.AllocsPerRun(10, func() { c.Want("0", "1") }), 1.0, "allocations")
}

func TestAnswersThatComeWithAnErrorStay(t *testing.T) {
	refused := errors.New("refused")
	c := New(clock.RealClock{}, true, Question[bool]{AtOnce: 2,
		Ask: func(context.Context, []string) (map[string]bool, error) { return map[string]bool{"a": true}, refused }})
	c.Want("a", "b")
	assert.ErrorIs(t, c.lookUp(t.Context()), refused, "error")
	a, _ := c.Known().Of("a")
	assert.Truef(t, a && !c.wanted["a"] && c.wanted["b"], "%v are known and %v wanted, want a known and b wanted", c.known, c.wanted)
}

func TestAnAnswerOfAllThereIsReplacesTheOneBefore(t *testing.T) {
	var log bytes.Buffer
	ctx := klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log))))
	coded := func(code string) error { return &smithy.GenericAPIError{Code: code} }
	var answer map[string]bool
	var failure error
	now := clocktesting.NewFakeClock(time.Now())
	c := New(now, true, Question[bool]{AtOnce: 1, Whole: true, Age: time.Minute, Failure: "Could not look up",
		Ask: func(context.Context, []string) (map[string]bool, error) { return answer, failure }})
	a, b, none := map[string]bool{"a": true}, map[string]bool{"b": true}, map[string]bool{}
	for _, step := range []struct {
		name   string
		answer map[string]bool
		err    error
		known  map[string]bool
		lines  int // in the log by then
	}{
		{name: "a fault of AWS at first", err: coded("InternalFailure"), known: none, lines: 1},
		{name: "the same again", err: coded("InternalFailure"), known: none, lines: 1},
		{name: "an answer", answer: a, known: a, lines: 1},
		{name: "another", answer: b, known: b, lines: 1},
		{name: "a fault of AWS", err: coded("InternalFailure"), known: b, lines: 1},
		{name: "expired credentials", err: coded("ExpiredToken"), known: b, lines: 1},
		{name: "denied", err: coded("AccessDeniedException"), known: none, lines: 2},
		{name: "allowed", answer: a, known: a, lines: 2},
		{name: "an endpoint without the call", err: coded("UnknownOperationException"), known: none, lines: 3},
		{name: "with the call", answer: a, known: a, lines: 3},
		{name: "nothing", known: none, lines: 3},
	} {
		now.Step(time.Minute)
		answer, failure = step.answer, step.err
		before := c.Known()
		c.Want("")
		c.Once(ctx)
		got := c.Known()
		assert.Equalf(t, step.known, got.byKey, "%s: known", step.name)
		assert.Equalf(t, maps.Equal(before.byKey, got.byKey), before == got, "%s: the answers are the same", step.name)
		assert.Equalf(t, step.lines, strings.Count(log.String(), "Could not look up"), "%s: lines in\n%s", step.name, log.String())
	}
}
