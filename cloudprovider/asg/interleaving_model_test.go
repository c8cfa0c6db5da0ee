package asg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// modelAWS is one Auto Scaling group, with AWS's part in its life cut into steps that can come at any time: it asks EC2 for
// an instance, gets it, ends one that is too many, answers to a synchronous launch. Between its steps it may do nothing for as
// long as it likes. All calls and steps come one at a time.
type modelAWS struct {
	lower, upper, desired int
	weight                int // of an instance, in units of the three above
	zones                 []string
	zonal                 bool // scaled zone by zone
	stock                 int  // instances that EC2 still has
	instances             []*modelInstance
	asked                 int // of EC2, for which no instance is listed
	surplus               int // instances beyond the desired capacity that AWS wants for now
	protect               bool
	first                 int            // instances that were there from the start
	holds                 bool           // AWS begins no launch for now
	launches              []*modelLaunch // in the order of their calls
	tokens                map[string]*modelLaunch

	changes      int                      // how often something changed
	past         []types.AutoScalingGroup // after each change
	pastAt       []time.Time              // when it came
	over, overAt int                      // how many there are beyond what is desired, and the change by which that grew
	blame        []string                 // who made each instance one too many that is, the latest last
	kills        []kill                   // by scale-in
	ended        map[string]int           // terminations with decrement that were accepted, by instance
	setLast      string                   // who has set the desired capacity
	ours         int                      // what we have set last
	wish         int                      // what others want: the desired capacity they last set, and less what was named since
	wishAt       int                      // the change with which they did
	read         int                      // what another autoscaler has read
	done         map[string]int           // acts of each foreign writer that are over
	blind        int                      // writes of ours below a wish that we could not know of
	wrong        string                   // what must never happen, and has
}

type modelInstance struct {
	id, zone  string
	leaving   bool
	gone      bool // and not listed any more
	unlisted  bool // not yet
	protected bool
}

type modelLaunch struct {
	token string
	n     int
	zone  string
	out   *autoscaling.LaunchInstancesOutput // nil until AWS has answered
	done  chan struct{}
}

// A kill is an instance that scale-in chose, and who had lowered the desired capacity below what there was.
type kill struct{ id, by string }

func newModelAWS(sc *scenario) *modelAWS {
	weight := max(1, sc.weight)
	m := &modelAWS{lower: sc.lower, upper: sc.upper * weight, desired: sc.desired * weight, weight: weight, protect: sc.protect, stock: 100, zonal: sc.zonal,
		tokens: map[string]*modelLaunch{}, ended: map[string]int{}, done: map[string]int{}, zones: []string{zoneA, zoneB}[:max(1, sc.zones)]}
	for range sc.desired {
		m.arrive(m.emptiest())
	}
	m.first = len(m.instances)
	m.changed("")
	return m
}

const (
	zoneA = "us-west-2a"
	zoneB = "us-west-2b"
	ours  = "we"
)

func (m *modelAWS) arrive(zone string) *modelInstance {
	i := &modelInstance{id: fmt.Sprintf("i-%d", len(m.instances)), zone: zone, protected: m.protect}
	m.instances = append(m.instances, i)
	return i
}

// counted is the capacity that counts.
func (m *modelAWS) counted() (n int) {
	for _, i := range m.instances {
		if !i.leaving {
			n += m.weight
		}
	}
	return n
}

// tooMany is how many instances there would be beyond what is wanted, with others on their way. A part of one more is none too many.
func (m *modelAWS) tooMany(coming int) int {
	return max(0, m.counted()+(coming-m.surplus)*m.weight-m.desired) / m.weight
}

// emptiest is the zone with the fewest instances, the first of several.
func (m *modelAWS) emptiest() string {
	have := map[string]int{}
	for _, i := range m.instances {
		if !i.leaving {
			have[i.zone]++
		}
	}
	return slices.MinFunc(m.zones, func(a, b string) int { return have[a] - have[b] })
}

// changed notes what the world looks like after somebody changed it.
func (m *modelAWS) changed(by string) {
	m.changes++
	m.past, m.pastAt = append(m.past, m.describe()), append(m.pastAt, time.Now())
	excess := m.tooMany(m.asked)
	over := m.tooMany(0)
	if over > m.over {
		m.overAt = m.changes
	}
	m.over = over
	for len(m.blame) < excess {
		m.blame = append(m.blame, by)
	}
	m.blame = m.blame[:excess]
}

// write writes down all that what can follow depends on.
func (m *modelAWS) write(w io.Writer, past int) {
	fmt.Fprintln(w, m.lower, m.upper, m.desired, m.stock, m.asked, m.surplus, m.blame, m.kills, m.ended, m.wish, m.done, m.setLast, m.ours, m.read, m.blind, m.overAt < m.changes, m.holds, m.views())
	for _, l := range m.launches {
		fmt.Fprintln(w, l.token, l.n, l.out != nil)
	}
	for back := 1; back <= past && m.hasPast(back); back++ {
		fmt.Fprintln(w, shown(m.past[len(m.past)-1-back]))
	}
}

func (m *modelAWS) views() (all []modelInstance) {
	for _, i := range m.instances {
		all = append(all, *i)
	}
	return all
}

// shown is the content of a reading.
func shown(g types.AutoScalingGroup) string {
	text := fmt.Sprint(*g.MinSize, *g.MaxSize, *g.DesiredCapacity)
	for _, i := range g.Instances {
		text += fmt.Sprint(" ", *i.InstanceId, i.LifecycleState)
	}
	return text
}

// hasPast reports whether a reading can show what was before so many changes: it is a minute old at most.
func (m *modelAWS) hasPast(changes int) bool {
	return len(m.past) > changes && time.Since(m.pastAt[len(m.past)-changes]) < time.Minute
}

// steps are what AWS could do next.
func (m *modelAWS) steps(s *sim) []option {
	var options []option
	if m.counted()+m.asked*m.weight < m.desired && m.stock > 0 && !m.holds {
		if s.slowLaunches {
			options = append(options, option{"AWS asks EC2 for an instance", func() {
				m.asked, m.stock = m.asked+1, m.stock-1
				m.changed("AWS")
			}})
		} else {
			options = append(options, option{"AWS launches an instance", func() {
				m.stock--
				m.arrive(m.emptiest())
				m.changed("AWS")
			}})
		}
	}
	if m.asked > 0 {
		options = append(options, option{"the instance arrives", func() {
			m.asked--
			m.arrive(m.emptiest())
			m.changed("AWS")
		}})
	}
	if victim := m.victim(); victim != nil && s.mayEnd() {
		options = append(options, option{"AWS ends " + victim.id + ", one too many", func() {
			m.kills = append(m.kills, kill{victim.id, m.blame[len(m.blame)-1]})
			victim.leaving = true
			m.changed("AWS")
		}})
	}
	for _, i := range m.instances {
		if i.unlisted {
			options = append(options, option{i.id + " is listed", func() { i.unlisted = false; m.changed("AWS") }})
		}
		if i.leaving && !i.gone && s.gone {
			options = append(options, option{i.id + " is gone", func() { i.gone = true; m.changed("AWS") }})
		}
	}
	for _, l := range m.launches {
		if l.out == nil {
			options = append(options, option{fmt.Sprintf("AWS launches the %d that it was asked for at once", l.n), func() { m.answer(l, s.lateListing) }})
		}
	}
	return options
}

// victim is the instance that scale-in would end: the oldest that is not protected, as likely as not a busy one.
func (m *modelAWS) victim() *modelInstance {
	if m.tooMany(0) == 0 {
		return nil
	}
	for _, i := range m.instances {
		if !i.leaving && !i.protected {
			return i
		}
	}
	return nil
}

// answer ends a synchronous launch.
func (m *modelAWS) answer(l *modelLaunch, lateListing bool) {
	got := types.InstanceCollection{InstanceType: aws.String("m5.large"), AvailabilityZone: aws.String(l.zone)}
	wanted := ceil(l.n, m.weight)
	for range min(wanted, m.stock) {
		i := m.arrive(l.zone)
		i.unlisted = lateListing
		got.InstanceIds = append(got.InstanceIds, i.id)
		m.stock--
		m.desired += m.weight
	}
	l.out = &autoscaling.LaunchInstancesOutput{Instances: []types.InstanceCollection{got}}
	if len(got.InstanceIds) < wanted {
		l.out.Errors = []types.LaunchInstancesError{{ErrorCode: aws.String("InsufficientInstanceCapacity"), AvailabilityZone: aws.String(l.zone),
			InstanceType: aws.String("m5.large"), ErrorMessage: aws.String("We currently do not have sufficient capacity.")}}
	}
	m.changed(ours)
	close(l.done)
}

func ceil(a, b int) int { return (a + b - 1) / b }

// set is SetDesiredCapacity by anybody.
func (m *modelAWS) set(by string, desired int) {
	m.desired, m.setLast = desired, by
	if by == ours {
		m.ours = desired
	}
	if by != ours {
		m.wish, m.wishAt = desired, m.changes+1
		m.forgetWish()
		m.blame = nil // whatever was set before: it is this that counts now
	}
	m.changed(by)
}

// has reports whether a reading that is older than it seems can show the desired capacity.
func (m *modelAWS) has(desired int) bool {
	return slices.ContainsFunc(m.past, func(g types.AutoScalingGroup) bool { return int(*g.DesiredCapacity) == desired })
}

// end terminates an instance by name.
func (m *modelAWS) end(by string, i *modelInstance, decrement bool) {
	if i.leaving {
		return
	}
	i.leaving = true
	if decrement {
		m.ended[i.id]++
		m.desired -= m.weight
		m.wish -= m.weight
		if by != ours {
			m.blame = nil
			m.forgetWish()
		}
	}
	m.changed(by)
}

// forgetWish drops a wish of others that looks like what we set, or like an earlier desired capacity: nobody can see that they want it.
func (m *modelAWS) forgetWish() {
	if m.wish > 0 && (m.desired == m.ours || m.has(m.desired)) {
		m.wish, m.setLast = 0, ours
	}
}

func (m *modelAWS) find(id string) *modelInstance {
	for _, i := range m.instances {
		if i.id == id {
			return i
		}
	}
	return nil
}

// oldest is the first instance that stays.
func (m *modelAWS) oldest() *modelInstance {
	for _, i := range m.instances {
		if !i.leaving {
			return i
		}
	}
	return &modelInstance{leaving: true}
}

// killedByUs are the instances that scale-in ended on account of a write of ours.
func (m *modelAWS) killedByUs() (ids []string) {
	for _, k := range m.kills {
		if k.by == ours {
			ids = append(ids, k.id)
		}
	}
	return ids
}

func (m *modelAWS) describe() types.AutoScalingGroup {
	g := types.AutoScalingGroup{
		AutoScalingGroupName: aws.String("a"), MinSize: aws.Int32(int32(m.lower)), MaxSize: aws.Int32(int32(m.upper)),
		DesiredCapacity: aws.Int32(int32(m.desired)), AvailabilityZones: m.zones,
		Tags: []types.TagDescription{{Key: aws.String(discoveryTag), Value: aws.String("true")}},
		MixedInstancesPolicy: &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{
			LaunchTemplateSpecification: &types.LaunchTemplateSpecification{LaunchTemplateId: aws.String("lt-1"), Version: aws.String("1")},
			Overrides:                   []types.LaunchTemplateOverrides{{InstanceType: aws.String("m5.large"), WeightedCapacity: m.weightText()}},
		}},
	}
	if m.zonal {
		g.Tags = append(g.Tags, types.TagDescription{Key: aws.String(asg.TagZonal), Value: aws.String("true")})
		g.SuspendedProcesses = []types.SuspendedProcess{{ProcessName: aws.String("AZRebalance")}}
	}
	for _, i := range m.instances {
		if i.gone || i.unlisted {
			continue
		}
		state := types.LifecycleStateInService
		if i.leaving {
			state = types.LifecycleStateTerminating
		}
		g.Instances = append(g.Instances, types.Instance{InstanceId: aws.String(i.id), InstanceType: aws.String("m5.large"),
			AvailabilityZone: aws.String(i.zone), LifecycleState: state, WeightedCapacity: m.weightText()})
	}
	return g
}

func (m *modelAWS) weightText() *string {
	if m.weight == 1 {
		return nil
	}
	return aws.String(fmt.Sprint(m.weight))
}

// refusal is AWS's no.
func refusal(code, format string, args ...any) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusBadRequest}},
		Err:      &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...)},
	}}
}

// modelEC2 has the launch template of the group.
type modelEC2 struct {
	launchspec.EC2API // calls that no script here leads to
}

func (modelEC2) DescribeLaunchTemplateVersions(context.Context, *ec2.DescribeLaunchTemplateVersionsInput, ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	version := ec2types.LaunchTemplateVersion{LaunchTemplateId: aws.String("lt-1"), VersionNumber: aws.Int64(1)}
	return &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: []ec2types.LaunchTemplateVersion{version}}, nil
}

// modelCalls are the calls of one process.
type modelCalls struct {
	asg.AutoScalingAPI // errors that no script here leads to
	*process
	began time.Time // the reading that is kept
	seen  int       // and the change that it showed
	most  int       // the newest change that any reading showed
}

func (c *modelCalls) DescribeAutoScalingGroups(ctx context.Context, _ *autoscaling.DescribeAutoScalingGroupsInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeAutoScalingGroupsOutput, error) {
	began := time.Now()
	how, err := c.wait(ctx, "read", false)
	if err != nil {
		return nil, err
	}
	at := len(c.aws.past) - 1
	for back := 1; back <= c.depth; back++ {
		if how == stale(back) {
			at -= back
		}
	}
	script := scriptOf(ctx)
	seen := c.aws.changes - (len(c.aws.past) - 1 - at)
	c.told(shown(c.aws.past[at]))
	out := &autoscaling.DescribeAutoScalingGroupsOutput{AutoScalingGroups: []types.AutoScalingGroup{c.aws.past[at]}}
	if err := c.answerOf(ctx, "the reading"); err != nil {
		return nil, err
	}
	if !began.Before(c.began) { // else another reading, begun later, came first and is kept
		c.began, c.seen = began, seen
	}
	c.most = max(c.most, seen)
	script.seen, script.most = c.seen, c.most
	return out, nil
}

// DescribeScalingActivities shows the launches in progress, in which no instance has an ID, and those that have ended since the start.
func (c *modelCalls) DescribeScalingActivities(ctx context.Context, _ *autoscaling.DescribeScalingActivitiesInput, _ ...func(*autoscaling.Options)) (*autoscaling.DescribeScalingActivitiesOutput, error) {
	if how, err := c.wait(ctx, "look at the launches", false); err != nil || how != "" {
		return nil, errors.Join(err, errLost)
	}
	m, out := c.aws, &autoscaling.DescribeScalingActivitiesOutput{}
	m.holds = c.announced
	for range m.asked {
		out.Activities = append(out.Activities, types.Activity{Description: aws.String("Launching a new EC2 instance"),
			StatusCode: types.ScalingActivityStatusCodeWaitingForInstanceId, StartTime: aws.Time(time.Now())})
	}
	for _, i := range m.instances[m.first:] {
		out.Activities = append(out.Activities, types.Activity{Description: aws.String("Launching a new EC2 instance: " + i.id),
			StatusCode: types.ScalingActivityStatusCodeSuccessful, StartTime: aws.Time(time.Now()), EndTime: aws.Time(time.Now())})
	}
	c.told(m.asked, len(m.instances))
	return out, c.answerOf(ctx, "the launches")
}

// answerOf waits for the moment of the answer, where scripts of one process can overtake each other.
func (c *modelCalls) answerOf(ctx context.Context, what string) error {
	if !c.lateAnswers {
		return nil
	}
	_, err := c.wait(ctx, "learn of "+what, true)
	return err
}

// write has a call go as chosen: do is its effect.
func (c *modelCalls) write(ctx context.Context, name string, do func() error) error {
	how, err := c.wait(ctx, name, false)
	if err != nil {
		return err
	}
	if how == requestLost {
		return errLost
	}
	err = do()
	c.told(name, err)
	if how == answerLost {
		return errLost
	}
	if late := c.answerOf(ctx, name); late != nil {
		return late
	}
	return err
}

func (c *modelCalls) SetDesiredCapacity(ctx context.Context, in *autoscaling.SetDesiredCapacityInput, _ ...func(*autoscaling.Options)) (*autoscaling.SetDesiredCapacityOutput, error) {
	desired := int(aws.ToInt32(in.DesiredCapacity))
	return &autoscaling.SetDesiredCapacityOutput{}, c.write(ctx, fmt.Sprintf("set %d", desired), func() error {
		m := c.aws
		if desired < m.lower || desired > m.upper {
			return refusal("ValidationError", "New SetDesiredCapacity value %d is not within limits", desired)
		}
		script := scriptOf(ctx)
		known := script.seen == m.changes
		switch {
		case desired < m.wish && script.most >= m.wishAt:
			m.wrong = fmt.Sprintf("we set %d although we had seen that others want %d", desired, m.wish)
		case desired < m.wish: // it is lost: AWS keeps no record of it
			m.blind++
			m.wish = 0
		case script.set > 0 && script.set != m.wish && m.setLast != ours && script.seen >= m.wishAt:
			m.wrong = fmt.Sprintf("we set %d again although we had seen that others have set %d since", desired, m.wish)
		}
		before := len(m.blame)
		m.holds = false
		m.set(ours, desired)
		if script.set = desired; len(m.blame) > before && known && m.asked == 0 {
			m.wrong = fmt.Sprintf("we set %d although we had seen all that there is", desired)
		}
		return nil
	})
}

func (c *modelCalls) TerminateInstanceInAutoScalingGroup(ctx context.Context, in *autoscaling.TerminateInstanceInAutoScalingGroupInput, _ ...func(*autoscaling.Options)) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	ids := slices.Clone(in.InstanceIds)
	if in.InstanceId != nil {
		ids = []string{*in.InstanceId}
	}
	return &autoscaling.TerminateInstanceInAutoScalingGroupOutput{}, c.write(ctx, fmt.Sprintf("terminate %v", ids), func() error {
		m, staying := c.aws, 0
		for _, id := range ids {
			i := m.find(id)
			if i == nil {
				return refusal("ValidationError", "Instance Id not found - No managed instance found for instance ID: %s", id)
			}
			if !i.leaving {
				staying++
			}
		}
		decrement := aws.ToBool(in.ShouldDecrementDesiredCapacity)
		if decrement && m.desired-staying*m.weight < m.lower && staying > 0 {
			return refusal("ValidationError", "Terminating instance without replacement will violate group's min size constraint")
		}
		for _, id := range ids {
			m.end(ours, m.find(id), decrement)
		}
		return nil
	})
}

func (c *modelCalls) LaunchInstances(ctx context.Context, in *autoscaling.LaunchInstancesInput, _ ...func(*autoscaling.Options)) (out *autoscaling.LaunchInstancesOutput, err error) {
	n, token := int(aws.ToInt32(in.RequestedCapacity)), aws.ToString(in.ClientToken)
	err = c.write(ctx, fmt.Sprintf("launch %d in %s", n, in.AvailabilityZones[0]), func() error {
		m := c.aws
		l, again := m.tokens[token]
		switch {
		case again && l.n != n:
			return refusal("IdempotentParameterMismatch", "The parameters do not match")
		case again && l.out == nil:
			return refusal("IdempotentCallInProgress", "The service is currently processing another request with the same client token")
		case again:
			out = l.out
			return nil
		case m.desired+ceil(n, m.weight)*m.weight > m.upper:
			return refusal("ValidationError", "above max value")
		}
		l = &modelLaunch{token: token, n: n, zone: in.AvailabilityZones[0], done: make(chan struct{})}
		m.tokens[token], m.launches = l, append(m.launches, l)
		select {
		case <-l.done:
			out = l.out
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if out != nil && err == nil {
		c.told("launched", out.Instances[0].InstanceIds)
	}
	return out, err
}
