package asg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const discoveryTag = "k8s.io/cluster-autoscaler/enabled"

// world is an emulated AWS, and a Cache that reads it through the real SDK.
type world struct {
	t     *testing.T
	aws   *fakeaws.Server
	cache *asg.Cache
	calls *calls

	options asg.Options // of the Cache
}

// calls are the Auto Scaling calls of the Cache, with places in which a test can step.
type calls struct {
	*awsclient.AutoScaling
	beforeWrite  func()                                   // when we have decided and AWS does not know yet
	afterWrite   func()                                   // when AWS has done it and we do not know yet
	beforeRead   func()                                   // of the groups
	blank        int                                      // how many readings find nothing
	neverAnswer  bool                                     // to a launch, as if the process had been killed meanwhile
	launching    func(*autoscaling.LaunchInstancesInput)  // before a launch
	neverAsk     bool                                     // for a launch, as if the process had been killed before
	answersEmpty bool                                     // to a launch, as an endpoint does that does not know the call
	loseAnswer   bool                                     // of a write
	noIdentity   bool                                     // writes have no credentials
	repeats      bool                                     // three tries of a write, as outside of tests
	ignores      bool                                     // terminations of several instances, and answers that it does them
	beforeRepeat func()                                   // of a termination, which is repeated as the SDK does if this is set
	activities   func(name string) bool                   // true: never answer
	inProgress   []types.Activity                         // are described first
	pageSize     *int32                                   // of activities, whatever is asked for
	endless      bool                                     // pages of activities are empty, and each names another one
	between      atomic.Bool                              // AWS is between two tries to launch
	untyped      bool                                     // answers to launches name no instance type
	lostLaunch   func(*autoscaling.LaunchInstancesOutput) // what happens while the answer to a launch is lost
	old          *types.AutoScalingGroup                  // is what readings of the group show, if they are stale
	edit         func(*types.AutoScalingGroup)            // what readings show
	unfiltered   bool                                     // readings ignore filters
}

// killed lasts longer than any write.
func (c *calls) killed(ctx context.Context) error {
	time.Sleep(time.Minute)
	return ctx.Err()
}

// tries are the options of a write behind those of its client.
func (c *calls) tries(o []func(*autoscaling.Options)) []func(*autoscaling.Options) {
	if c.noIdentity {
		o = append(slices.Clone(o), func(o *autoscaling.Options) {
			o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("no answer of STS")
			})
		})
	}
	if !c.repeats {
		return o
	}
	return append([]func(*autoscaling.Options){func(o *autoscaling.Options) { o.Retryer = retry.AddWithMaxAttempts(o.Retryer, 3) }}, o...)
}

func (c *calls) SetDesiredCapacity(ctx context.Context, in *autoscaling.SetDesiredCapacityInput, o ...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error) {
	if c.beforeWrite != nil {
		c.beforeWrite()
	}
	out, err := c.AutoScaling.SetDesiredCapacity(ctx, in, c.tries(o)...)
	if c.afterWrite != nil {
		c.afterWrite()
	}
	if c.loseAnswer {
		return nil, errors.New("connection reset by peer")
	}
	return out, err
}

func (c *calls) LaunchInstances(ctx context.Context, in *autoscaling.LaunchInstancesInput, o ...func(*autoscaling.Options)) (*autoscaling.LaunchInstancesOutput, error) {
	if c.beforeWrite != nil {
		c.beforeWrite()
	}
	if c.launching != nil {
		c.launching(in)
	}
	if c.neverAsk {
		return nil, c.killed(ctx)
	}
	if c.answersEmpty {
		return &autoscaling.LaunchInstancesOutput{}, nil
	}
	out, err := c.AutoScaling.LaunchInstances(ctx, in, o...)
	if c.neverAnswer {
		return nil, c.killed(ctx)
	}
	for at := 0; err == nil && c.untyped && at < len(out.Instances); at++ {
		out.Instances[at].InstanceType = nil
	}
	if lost := c.lostLaunch; lost != nil && err == nil {
		lost(out)
		return nil, errors.New("connection reset by peer")
	}
	return out, err
}

func (c *calls) DescribeAutoScalingGroups(ctx context.Context, in *autoscaling.DescribeAutoScalingGroupsInput, o ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	if c.beforeRead != nil {
		c.beforeRead()
	}
	if c.blank > 0 {
		c.blank--
		return &autoscaling.DescribeAutoScalingGroupsOutput{}, nil
	}
	if c.unfiltered {
		all := *in
		all.Filters, in = nil, &all
	}
	out, err := c.AutoScaling.DescribeAutoScalingGroups(ctx, in, o...)
	for i := 0; err == nil && i < len(out.AutoScalingGroups); i++ {
		if g := &out.AutoScalingGroups[i]; c.old != nil && *g.AutoScalingGroupName == *c.old.AutoScalingGroupName {
			*g = *c.old
		}
		if c.edit != nil {
			c.edit(&out.AutoScalingGroups[i])
		}
	}
	return out, err
}

func (c *calls) TerminateInstanceInAutoScalingGroup(ctx context.Context, in *autoscaling.TerminateInstanceInAutoScalingGroupInput, o ...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	if c.ignores && len(in.InstanceIds) > 1 {
		return &autoscaling.TerminateInstanceInAutoScalingGroupOutput{}, nil
	}
	out, err := c.AutoScaling.TerminateInstanceInAutoScalingGroup(ctx, in, c.tries(o)...)
	if err != nil && c.beforeRepeat != nil {
		c.beforeRepeat()
		out, err = c.AutoScaling.TerminateInstanceInAutoScalingGroup(ctx, in, o...)
	}
	if c.afterWrite != nil {
		c.afterWrite()
	}
	return out, err
}

func (c *calls) DescribeScalingActivities(ctx context.Context, in *autoscaling.DescribeScalingActivitiesInput, o ...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error) {
	if c.activities != nil && c.activities(aws.ToString(in.AutoScalingGroupName)) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if c.endless {
		return &autoscaling.DescribeScalingActivitiesOutput{NextToken: aws.String("more")}, nil
	}
	if c.pageSize != nil {
		smaller := *in
		smaller.MaxRecords, in = c.pageSize, &smaller
	}
	out, err := c.AutoScaling.DescribeScalingActivities(ctx, in, o...)
	if errors.Is(err, net.ErrClosed) { // with more than the one attempt of tests, the SDK makes such a call again
		out, err = c.AutoScaling.DescribeScalingActivities(ctx, in, o...)
	}
	if err == nil && c.between.Load() {
		out.Activities = slices.DeleteFunc(out.Activities, func(a types.Activity) bool {
			return a.EndTime == nil && strings.HasPrefix(aws.ToString(a.Description), "Launching")
		})
	}
	if err == nil {
		out.Activities = slices.Insert(out.Activities, 0, c.inProgress...)
	}
	return out, err
}

// quick are delays that a test can wait for.
var quick = fakeaws.Delays{
	Listed: ms(20), InService: ms(40), Register: ms(60), GPU: ms(60), Terminate: ms(50), Retry: ms(200), Synchronous: ms(20),
}

func ms(n int) fakeaws.Duration { return fakeaws.Duration(time.Duration(n) * time.Millisecond) }

func scalingGroup(name string, least, desired, most int) fakeaws.AutoScalingGroup {
	return fakeaws.AutoScalingGroup{
		Name: name, Min: least, Max: most, Desired: desired, Zones: []string{"us-west-2a"},
		Tags:           map[string]string{discoveryTag: "true"},
		LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "workers", Version: "1"},
	}
}

// managed is a scalingGroup of an EKS managed node group.
func managed(name string, least, desired, most int) fakeaws.AutoScalingGroup {
	g := scalingGroup(name, least, desired, most)
	g.Tags["eks:cluster-name"], g.Tags["eks:nodegroup-name"] = "prod", "workers"
	return g
}

// mixing is the group with a policy around its launch template.
func mixing(g fakeaws.AutoScalingGroup, overrides ...fakeaws.Override) fakeaws.AutoScalingGroup {
	g.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *g.LaunchTemplate, Overrides: overrides}
	g.LaunchTemplate = nil
	return g
}

// weighted is a group "a" of up to 20 units, in which instances count for 2 or for more.
func weighted(desired, heavy int) fakeaws.AutoScalingGroup {
	return mixing(scalingGroup("a", 0, desired, 20), fakeaws.Override{InstanceType: "m5.large", WeightedCapacity: 2},
		fakeaws.Override{InstanceType: "m5.xlarge", WeightedCapacity: heavy})
}

func workers(instanceType string) fakeaws.LaunchTemplate {
	return fakeaws.LaunchTemplate{Name: "workers", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0abc", InstanceType: instanceType}}}
}

// newWorld starts AWS with the groups and a Cache over it. The Cache has not read yet.
func newWorld(t *testing.T, groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	return newWorldOf(t, having(groups...), discovered)
}

// newWorldWith is newWorld with an AWS that takes its time.
func newWorldWith(t *testing.T, change func(*fakeaws.Delays), groups ...fakeaws.AutoScalingGroup) *world {
	t.Helper()
	config := having(groups...)
	change(&config.Delays)
	return newWorldOf(t, config, discovered)
}

// having is an AWS with the groups, whose delays a test can wait for.
func having(groups ...fakeaws.AutoScalingGroup) fakeaws.Config {
	config := usual(groups...)
	config.Delays = quick
	return config
}

// usual is having with the usual delays, for a bubble.
func usual(groups ...fakeaws.AutoScalingGroup) fakeaws.Config {
	return fakeaws.Config{LaunchTemplates: []fakeaws.LaunchTemplate{workers("m5.large")}, AutoScalingGroups: groups,
		LaunchConfigurations: []fakeaws.LaunchConfiguration{{Name: "old", InstanceType: "c5.large", ImageID: "ami-0abc"}}}
}

func TestMain(m *testing.M) {
	awsclients.SetEnvironment()
	_ = os.Unsetenv("AWS_CA_BUNDLE") // only the SDK's own client takes one
	m.Run()
}

// bubbled is the test in a bubble, in which time passes only when all are waiting.
func bubbled(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

// serve starts AWS and the SDK's clients.
func serve(t *testing.T, config fakeaws.Config) (*fakeaws.Server, *awsclient.Clients) {
	t.Helper()
	server := awsclients.Serve(t, config)
	clients, err := awsclient.New(t.Context(), awsclients.Options(server))
	require.NoError(t, err, "AWS clients")
	return server, clients
}

func newWorldOf(t *testing.T, config fakeaws.Config, discovery ownership.Discovery) *world {
	t.Helper()
	server, clients := serve(t, config)
	hooked := &calls{AutoScaling: clients.AutoScaling}
	options := asg.Options{
		AutoScaling: hooked, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS}, Discovery: discovery,
		RefreshInterval: time.Minute, MotionInterval: 50 * time.Millisecond, Clock: clock.RealClock{},
		LaunchMode: asg.LaunchDesiredCapacity, NoPredecessor: true,
		ZonalShifts: cooldown.ShiftAPIs{Shifts: clients.ZonalShifts, EC2: clients.EC2},
	}
	if awsclients.InBubble() {
		options.MotionInterval = 2 * time.Second // the default of the flag, as nobody waits in a bubble
	}
	return &world{t: t, aws: server, calls: hooked, options: options, cache: asg.NewCache(options)}
}

// with is the same AWS with another Cache, which has not read yet: another process, as it were.
func (w *world) with(change func(*asg.Options)) *world {
	other := *w
	if change != nil {
		change(&other.options)
	}
	hooked := &calls{AutoScaling: w.calls.AutoScaling}
	other.options.AutoScaling, other.calls = hooked, hooked
	other.cache = asg.NewCache(other.options)
	return &other
}

// started is the world after the first reading.
func (w *world) started() *world {
	w.t.Helper()
	require.NoError(w.t, w.cache.Start(w.t.Context()), "first reading")
	return w
}

// withoutCapacity has a group "a" with so many instances, for which AWS has no more capacity. It is between two tries to launch.
func withoutCapacity(t *testing.T, desired int) *world {
	t.Helper()
	w := newWorld(t, scalingGroup("a", 0, desired, 10)).started()
	w.calls.between.Store(true)
	w.aws.AddShortage(fakeaws.Shortage{Group: "a"})
	return w
}

// running is the world with the Cache reading in the background until the test ends.
func (w *world) running() *world {
	w.t.Helper()
	_, stop := w.runningUntil()
	w.t.Cleanup(stop)
	return w
}

// runningUntil is running until stop is called, which the caller has to do.
func (w *world) runningUntil() (_ *world, stop func()) {
	w.t.Helper()
	w.started()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.cache.Run(ctx) }()
	return w, func() {
		cancel()
		assert.NoError(w.t, <-done, "Run")
	}
}

func (w *world) group(name string) *group.Group {
	w.t.Helper()
	g := w.cache.Snapshot().Group(name)
	require.Truef(w.t, g != nil, "group %q is not in the snapshot", name)
	return g
}

func (w *world) desired(name string) int {
	w.t.Helper()
	state, ok := w.aws.Group(name)
	require.Truef(w.t, ok, "AWS has no group %q", name)
	return state.Desired
}

// past is the group "a" as AWS describes it now, for readings to come.
func (w *world) past() *types.AutoScalingGroup {
	w.t.Helper()
	out, err := w.calls.AutoScaling.DescribeAutoScalingGroups(w.t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"a"}})
	require.Truef(w.t, err == nil && len(out.AutoScalingGroups) == 1, "group as it is now: %v", err)
	return &out.AutoScalingGroups[0]
}

// must ends the test at an error.
func (w *world) must(err error) {
	w.t.Helper()
	require.NoError(w.t, err)
}

// wakes reports whether the Cache asks for another loop, and takes the request away.
func (w *world) wakes() bool {
	select {
	case <-w.cache.Changed():
		return true
	default:
		return false
	}
}

// refresh reads all groups.
func (w *world) refresh() {
	w.t.Helper()
	w.must(w.cache.Refresh(w.t.Context()))
}

// increase raises the group "a".
func (w *world) increase(n int) {
	w.t.Helper()
	w.must(w.cache.Increase(w.t.Context(), "a", n))
}

// increasesTo raises the group "a", and fails unless AWS has the desired capacity then and ended nothing by its own choice.
func (w *world) increasesTo(n, desired int) {
	w.t.Helper()
	w.increase(n)
	w.wantDesired(desired)
}

// setDesired is another writer's.
func (w *world) setDesired(desired int) {
	w.t.Helper()
	w.must(w.aws.SetDesired("a", desired))
}

// eventually waits until ok returns "".
func (w *world) eventually(ok func() string) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		wrong := ok()
		if wrong == "" {
			return
		}
		require.Truef(w.t, !time.Now().After(deadline), "still not after a minute: %s", wrong)
		time.Sleep(5 * time.Millisecond)
	}
}

// waitWhile waits as long as it is so.
func (w *world) waitWhile(what string, so func() bool) {
	w.t.Helper()
	w.eventually(func() string { return map[bool]string{true: what}[so()] })
}

// listed waits until AWS lists so many instances of the group "a".
func (w *world) listed(n int) {
	w.t.Helper()
	w.waitWhile(fmt.Sprintf("AWS does not list %d instances", n), func() bool { state, _ := w.aws.Group("a"); return len(state.Instances) != n })
}

// withdraws fails unless a withdrawal of up to n instances takes so many, and leaves the desired capacity.
func (w *world) withdraws(n, want, desired int) {
	w.t.Helper()
	taken, err := w.cache.Withdraw(w.t.Context(), "a", n)
	got := w.desired("a")
	assert.Truef(w.t, err == nil && taken == want && got == desired, "withdrew %d of %d, error %v, desired capacity %d, want %d and %d", taken, n, err, got, want, desired)
}

// failsToIncrease fails if an increase that must fail does not.
func (w *world) failsToIncrease(name string, n int) {
	w.t.Helper()
	require.Errorf(w.t, w.cache.Increase(w.t.Context(), name, n), "the increase of %s", name)
}

// awsHas fails unless AWS has so many instances of the group "a", of so many desired.
func (w *world) awsHas(instances, desired int) {
	w.t.Helper()
	state, _ := w.aws.Group("a")
	assert.Equal(w.t, [2]int{instances, desired}, [2]int{len(state.Instances), state.Desired}, "instances of the group at AWS, and desired ones")
}

// knows fails unless so many instances of the group "a" are known to count, of so many desired.
func (w *world) knows(counted, desired int) {
	w.t.Helper()
	g := w.group("a")
	assert.Equal(w.t, [2]int{counted, desired}, [2]int{len(g.Counted()), g.DesiredCapacity}, "instances of the group that we know, and desired ones")
}

// agreed fails unless AWS and we have the desired capacity of the group "a".
func (w *world) agreed(desired int) {
	w.t.Helper()
	w.wantDesired(desired)
	assert.Equal(w.t, desired, w.group("a").DesiredCapacity, "desired capacity that we know")
}

func (w *world) eventuallyInService(name string, count int) {
	w.t.Helper()
	w.eventually(func() string { return cmp.Diff(count, w.inService(name)) })
}

// expire has the calls of killed processes run into their timeout at the end of a bubble.
func (w *world) expire() { w.t.Cleanup(func() { time.Sleep(5 * time.Minute) }) }

// end terminates the instances of the group but those named, and waits until AWS lists them no more.
func (w *world) end(name string, but ...string) {
	w.t.Helper()
	ending := slices.DeleteFunc(w.ids(name), func(id string) bool { return slices.Contains(but, id) })
	w.must(w.cache.Terminate(w.t.Context(), name, ending))
	w.waitWhile("the instances are still listed", func() bool { state, _ := w.aws.Group(name); return len(state.Instances) != len(but) })
}

// kills are the instances that Auto Scaling terminated by its own choice: there must never be one.
func (w *world) kills() []string {
	var ids []string
	for _, e := range w.aws.Events() {
		if e.Kind == fakeaws.ScaleInKill {
			ids = append(ids, e.Instance)
		}
	}
	return ids
}

// zoneIncrease launches n instances in one zone, as the autoscaler does for several at once.
func zoneIncrease(cache *asg.Cache, ctx context.Context, name, zone string, n int) error {
	return cache.IncreaseZones(ctx, name, map[string]int{zone: n})[zone]
}

// inBubble is a test with a running Cache in a bubble, in which time passes only when all are waiting. The real clients call the emulated AWS
// without a network.
func inBubble(config fakeaws.Config, change func(*asg.Options), test func(*world)) func(*testing.T) {
	return func(t *testing.T) {
		t.Setenv("AWS_MAX_ATTEMPTS", "") // as outside of tests
		synctest.Test(t, func(t *testing.T) {
			w := newWorldOf(t, config, discovered).with(func(o *asg.Options) {
				o.LaunchMode, o.NoPredecessor, o.ZonalShifts = asg.LaunchAuto, false, cooldown.ShiftAPIs{}
			}).with(change)
			_, stop := w.runningUntil()
			defer stop()
			test(w)
		})
	}
}

// takes is how long it takes until ok returns "", do being done every second. It is five minutes at most.
func (w *world) takes(do func(), ok func() string) time.Duration {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(time.Second) {
		do()
		wrong := ok()
		if wrong == "" {
			return time.Since(began)
		}
		require.Truef(w.t, time.Since(began) <= 5*time.Minute, "still not after 5 minutes: %s", wrong)
	}
}

// suspendLaunch keeps AWS from beginning a launch, and no reading shows it.
func (w *world) suspendLaunch() {
	w.t.Helper()
	w.must(w.aws.Suspend("a", "Launch"))
	edit := w.calls.edit
	w.calls.edit = func(g *types.AutoScalingGroup) {
		if g.SuspendedProcesses = nil; edit != nil {
			edit(g)
		}
	}
}
