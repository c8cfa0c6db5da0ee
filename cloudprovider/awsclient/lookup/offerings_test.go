package lookup

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// offeringsWorld is a Cache of offerings that runs over an emulated AWS until the test ends.
type offeringsWorld struct {
	*Cache[[]string]
	t     *testing.T
	aws   *fakeaws.Server
	api   *ec2.Client
	clock *clocktesting.FakeClock
	log   fmt.Stringer
}

func newOfferingsWorld(t *testing.T, cfg fakeaws.Config) *offeringsWorld {
	t.Helper()
	w := &offeringsWorld{t: t, clock: clocktesting.NewFakeClock(time.Now())}
	w.aws, w.api = served(t, cfg)
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
	w.log = logger.GetSink().(ktesting.Underlier).GetBuffer()
	w.Cache = NewOfferings(w.api, w.clock)
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), logger))
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// inZones is a group in zones, by their letters.
func inZones(letters string) fakeaws.AutoScalingGroup {
	g := fakeaws.AutoScalingGroup{Name: "g", Max: 5, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "m5.large", Version: "1"}}
	for _, letter := range letters {
		g.Zones = append(g.Zones, "cn-northwest-1"+string(letter))
	}
	return g
}

// limited is a group in zones a and b, with m5.large in a alone and c5.large in none.
func limited() fakeaws.Config {
	return fakeaws.Config{Region: "cn-northwest-1", LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "m5.large", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: "m5.large"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{inZones("ab")},
		Offerings:         map[string][]string{"m5.large": {"cn-northwest-1a"}, "c5.large": {}}}
}

// calls waits until EC2 was asked so often, and fails if it is more.
func (w *offeringsWorld) calls(want int) {
	asked := func() int { return w.aws.Calls()["DescribeInstanceTypeOfferings"] }
	for end := time.Now().Add(10 * time.Second); asked() < want && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	time.Sleep(50 * time.Millisecond) // for one too many
	got := asked()
	require.Truef(w.t, got == want, "EC2 was asked %d times, want %d", got, want)
}

// later waits until the next try of a look-up that failed is planned, and lets an hour pass.
func (w *offeringsWorld) later() {
	for end := time.Now().Add(10 * time.Second); !w.clock.HasWaiters(); time.Sleep(5 * time.Millisecond) {
		require.False(w.t, time.Now().After(end), "no further try is planned")
	}
	w.clock.Step(time.Hour)
}

func (w *offeringsWorld) learns(before *Answers[[]string]) *Answers[[]string] {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if now := w.Known(); now != before {
			return now
		}
	}
	w.t.Fatal("nothing was learnt in 10 s")
	return nil
}

// left are the types that the zone offers, or may offer for all that is known.
func left(o *Answers[[]string], zone string, names ...string) string {
	var left []string
	for _, name := range names {
		if zones, known := o.Of(name); !known || slices.Contains(zones, zone) {
			left = append(left, name)
		}
	}
	return strings.Join(left, " ")
}

func TestOfferedTypesByZone(t *testing.T) {
	w := newOfferingsWorld(t, limited())
	names := []string{"m5.large", "m5.xlarge", "c5.large", "no.such"}
	if got, want := left(w.Known(), "cn-northwest-1b", names...), strings.Join(names, " "); got != want {
		t.Errorf("before anything is known: %s, want %s", got, want)
	}
	before := w.Known()
	w.Want(names...)
	known := w.learns(before)
	got := map[string]string{}
	for _, zone := range []string{"cn-northwest-1a", "cn-northwest-1b", "cn-northwest-1z"} {
		got[zone] = left(known, zone, names...)
	}
	want := map[string]string{
		"cn-northwest-1a": "m5.large m5.xlarge c5.large no.such",
		"cn-northwest-1b": "m5.xlarge c5.large no.such",
		"cn-northwest-1z": "c5.large no.such", // of these two, AWS lists no zone
	}
	assert.Empty(t, cmp.Diff(want, got), "types by zone (-want +got)")
	assert.True(t, left(before, "cn-northwest-1b", names...) == strings.Join(names, " "), "what was handed out before has changed")
}

func TestOfferingsAreRequestedOncePerHour(t *testing.T) {
	w := newOfferingsWorld(t, limited())
	unknown := w.Known()
	w.calls(0)
	w.Want()
	w.calls(0)
	w.Want("m5.large", "m5.xlarge", "m5.large")
	known := w.learns(unknown)
	w.calls(1)
	for range 3 {
		w.clock.Step(19 * time.Minute)
		w.Want("m5.xlarge", "m5.large")
	}
	w.calls(1)
	w.clock.Step(3 * time.Minute)
	w.Want("m5.xlarge", "m5.large")
	w.calls(2) // an hour later: types come to further zones
	assert.True(t, w.Known() == known, "another pointer without news")
	w.Want("m5.large", "r5.large")
	assert.Equal(t, "r5.large", left(w.learns(known), "cn-northwest-1b", "m5.large", "r5.large"),
		"in b, want the new type, and still not the old one")
	w.calls(3)
}

func TestTypesWithoutZoneAreRequestedOncePerHour(t *testing.T) {
	w := newOfferingsWorld(t, limited())
	before := w.Known()
	for _, tt := range []struct {
		later time.Duration
		calls int
	}{{0, 1}, {59 * time.Minute, 1}, {time.Minute, 2}, {time.Minute, 2}} {
		w.clock.Step(tt.later)
		w.Want("c5.large")
		w.calls(tt.calls)
	}
	assert.True(t, w.Known() == before, "another pointer without news")
}

// wide is a group in six zones, and 250 types that are offered in all of them but the first, which is in the second alone.
func wide() (fakeaws.Config, []string) {
	cfg := limited()
	cfg.AutoScalingGroups[0] = inZones("abcdef")
	var names []string
	for n := range 250 {
		name := fmt.Sprintf("x9z.%03dxlarge", n)
		cfg.InstanceTypes = append(cfg.InstanceTypes, fakeaws.InstanceType{Name: name, VCPU: 2, MemoryMiB: 8192})
		names = append(names, name)
	}
	cfg.Offerings[names[0]] = []string{"cn-northwest-1b"}
	return cfg, names
}

func TestManyTypesCostOneCallPerPage(t *testing.T) {
	cfg, names := wide()
	w := newOfferingsWorld(t, cfg)
	before := w.Known()
	w.Want(names...)
	known := w.learns(before)
	w.calls(3) // 200 types in 6 zones are two pages, and then the other 50
	assert.Equal(t, 249, len(strings.Fields(left(known, "cn-northwest-1f", names...))), "types in f")
}

// firstPage is EC2's answer to the question for the types.
func (w *offeringsWorld) firstPage(names []string) *ec2.DescribeInstanceTypeOfferingsOutput {
	out, err := w.api.DescribeInstanceTypeOfferings(w.t.Context(), &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: ec2types.LocationTypeAvailabilityZone, MaxResults: awssdk.Int32(offeringsPerPage),
		Filters: []ec2types.Filter{{Name: awssdk.String("instance-type"), Values: names}}})
	require.NoError(w.t, err)
	w.aws.ResetCalls()
	return out
}

func TestIncompleteAnswerIsIgnored(t *testing.T) {
	cfg, names := wide()
	w := newOfferingsWorld(t, cfg)
	page := w.firstPage(names[:200])
	before := w.Known()
	fault := w.aws.Inject(fakeaws.Fault{Params: map[string]string{"NextToken": *page.NextToken}, Code: "AccessDenied"})
	w.Want(names...)
	w.calls(2)
	assert.True(t, w.Known() == before, "something was learnt from the first page of two")
	w.aws.ClearFaults(fault)
	w.later()
	assert.Equal(t, 249, len(strings.Fields(left(w.learns(before), "cn-northwest-1f", names...))), "types in f")
}

func TestAnswersBeforeFailureStay(t *testing.T) {
	cfg, names := wide()
	w := newOfferingsWorld(t, cfg)
	before := w.Known()
	w.aws.Inject(fakeaws.Fault{Action: "DescribeInstanceTypeOfferings", Params: map[string]string{"Filter.1.Value.1": names[200]}, Code: "Throttling"})
	w.Want(names...)
	known := w.learns(before)
	assert.Equal(t, 200, len(known.byKey), "types are known, want the 200 of the first question")
	w.calls(3)
	w.aws.ClearFaults()
	w.later()
	assert.Equal(t, 250, len(w.learns(known).byKey), "types are known, want all 250")
	w.calls(4) // the other 50
	w.Want(names...)
	w.calls(6) // the oldest answers, too, which are an hour old
}

func TestUnknownOfferingsCountAsOffered(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		log   string
	}{
		{"denied", fakeaws.Fault{Code: "AccessDenied"}, `perform: ec2:DescribeInstanceTypeOfferings because no identity-based policy allows the ec2:DescribeInstanceTypeOfferings action" remedy="allow ec2:DescribeInstanceTypeOfferings"`},
		{"unknown to the partition", fakeaws.Fault{Code: "InvalidAction"}, "InvalidAction"},
		{"garbled", fakeaws.Fault{Body: fakeaws.Garbled}, "they count as offered in every zone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newOfferingsWorld(t, limited())
			before := w.Known()
			tt.fault.Action = "DescribeInstanceTypeOfferings"
			w.aws.Inject(tt.fault)
			for range 5 {
				w.Want("m5.large")
			}
			w.calls(1)
			w.later()
			w.calls(2)
			if got := w.Known(); got != before || left(got, "cn-northwest-1b", "m5.large") != "m5.large" {
				t.Error("m5.large does not count as offered in b any more")
			}
			w.aws.ClearFaults()
			w.later()
			assert.Equal(t, "", left(w.learns(before), "cn-northwest-1b", "m5.large"), "once EC2 answers: in b, want nothing")
			if log := w.log.String(); strings.Count(log, "Could not look up") != 1 || !strings.Contains(log, tt.log) {
				t.Errorf("log, want one line with %s:\n%s", tt.log, log)
			}
		})
	}
}

// garbler has EC2 asked for something else than it was.
type garbler struct {
	*ec2.Client
	garble func(*ec2.DescribeInstanceTypeOfferingsInput)
}

func (g garbler) DescribeInstanceTypeOfferings(ctx context.Context, in *ec2.DescribeInstanceTypeOfferingsInput,
	opts ...func(*ec2.Options)) (*ec2.DescribeInstanceTypeOfferingsOutput, error) {
	g.garble(in)
	return g.Client.DescribeInstanceTypeOfferings(ctx, in, opts...)
}

func TestAnswerToAnotherQuestionIsIgnored(t *testing.T) {
	for _, tt := range []struct {
		name   string
		garble func(*ec2.DescribeInstanceTypeOfferingsInput)
		want   map[string][]string
	}{
		{"of the region", func(in *ec2.DescribeInstanceTypeOfferingsInput) { in.LocationType = ec2types.LocationTypeRegion }, map[string][]string{}},
		{"of all types", func(in *ec2.DescribeInstanceTypeOfferingsInput) { in.Filters = nil }, map[string][]string{"m5.large": {"cn-northwest-1a"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newOfferingsWorld(t, limited())
			o := NewOfferings(garbler{w.api, tt.garble}, w.clock)
			o.Want("m5.large")
			require.NoError(t, o.lookUp(t.Context()))
			assert.Empty(t, cmp.Diff(tt.want, o.Known().byKey), "known (-want +got)")
		})
	}
}

func TestWithoutEC2NothingIsEverKnown(t *testing.T) {
	o := NewOfferings(nil, clocktesting.NewFakeClock(time.Now()))
	o.Want("m5.large")
	o.Run(t.Context()) // returns
	got := left(o.Known(), "cn-northwest-1b", "m5.large")
	assert.Truef(t, got == "m5.large" && len(o.dated) == 0, "%q in b, %v asked for; want m5.large and nothing", got, o.dated)
}

func TestOfferingsAreSafeForConcurrentUse(t *testing.T) {
	w := newOfferingsWorld(t, limited())
	var users sync.WaitGroup
	for n := range 4 {
		users.Go(func() {
			for i := range 50 {
				w.Want(fmt.Sprintf("x%d.%dxlarge", n, i), "m5.large")
				left(w.Known(), "cn-northwest-1b", "m5.large")
			}
		})
	}
	users.Wait()
	w.learns(nil)
}
