package accountcheck

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// pollEvery and pollFor bound the readings after the launch.
	pollEvery = 500 * time.Millisecond
	pollFor   = time.Minute
	// noNodeWithin is a time in which no instance boots and joins a cluster. AWS's state alone could be an old reading.
	noNodeWithin = 30 * time.Second
)

type Launch struct {
	Call
	Group       string     `json:"group"`
	Zone        string     `json:"zone"`
	ClientToken string     `json:"clientToken"`
	Instances   []Instance `json:"instances"` // of all answers
	Errors      []Failure  `json:"errors"`
	// Repeated is the answer to the same call with the same client token. SameInstances means that both answers came, and are alike.
	Repeated      *Call `json:"repeated,omitempty"`
	SameInstances bool  `json:"sameInstances"`
	// Desired is the desired capacity before the launch. Reading is about the readings after it.
	Desired int      `json:"desiredBefore"`
	Reading *Reading `json:"reading,omitempty"`
	// TakenAway is the answer to the termination, and Kept the reason if there was none.
	TakenAway *Call  `json:"takenAway,omitempty"`
	Kept      string `json:"kept,omitempty"`

	answered time.Time
	input    *autoscaling.LaunchInstancesInput
}

type Instance struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Zone   string `json:"zone"`
	Market string `json:"market"`
}

// Failure is a part of an answer: the reason why a pool gave no instance.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Type    string `json:"type,omitempty"`
	Zone    string `json:"zone,omitempty"`
}

// Reading is about the answers of DescribeAutoScalingGroups after the launch.
type Reading struct {
	// AtOnce means that the first reading has the instance and the raised desired capacity.
	AtOnce bool `json:"atOnce"`
	// Complete means that a reading within a minute has both, Seconds after AWS's answer.
	Complete bool    `json:"complete"`
	Seconds  float64 `json:"seconds,omitempty"`
	Desired  int     `json:"desired"`
	Listed   int     `json:"listed"` // how many of the launched instances the reading has
	Code     string  `json:"code,omitempty"`
}

// Refusal returns the reason why no instance may be launched into the group, or "". The group is a reading's, judged for the cluster.
func Refusal(g *group.Group, cluster string) string {
	for _, p := range g.Problems {
		if p.Reason == ownership.ReasonOtherCluster || p.Reason == ownership.ReasonOperator {
			return p.Message
		}
	}
	tag := ownership.OwnedPrefix + cluster
	mode, why := asg.AskedFor(g)
	switch {
	case g.Tags[tag] != "owned":
		return fmt.Sprintf("it lacks the tag %s = owned, without which the shipped policy allows no launch", tag)
	case g.Deleting:
		return "AWS is deleting it"
	case mode != asg.LaunchSynchronous:
		return "LaunchInstances does not serve it: " + why
	case g.Source.Weighted():
		return "it does not count its capacity in instances, and the check launches exactly one"
	case g.Suspended(group.ProcessLaunch):
		return "its Launch process is suspended"
	case g.Kept() > 0:
		return "AWS keeps instances beyond its desired capacity, because they are protected from scale-in, and would end the launched one"
	case g.DesiredCapacity >= g.MaxSize:
		return fmt.Sprintf("it has no room: its desired capacity is %d, and its maximum size %d", g.DesiredCapacity, g.MaxSize)
	}
	return ""
}

// LaunchInto launches one instance into a group that Refusal has passed, and repeats the call with the same client token. It blocks until the
// group's readings show the instance, for at most a minute. It returns the IDs of the launched instances: one, if all is well.
func (check *Check) LaunchInto(ctx context.Context, g *group.Group) []string {
	c := check.clients
	l := &Launch{Group: g.Name, Zone: slices.Min(g.Zones), ClientToken: "asgctl-" + rand.Text(), Desired: g.DesiredCapacity, Instances: []Instance{}, Errors: []Failure{}}
	l.input = &autoscaling.LaunchInstancesInput{
		AutoScalingGroupName: &l.Group, RequestedCapacity: aws.Int32(1), AvailabilityZones: []string{l.Zone},
		ClientToken: &l.ClientToken, RetryStrategy: types.RetryStrategyNone,
	}
	// A Ctrl-C leaves no instance that nobody knows of. The client bounds each call.
	own := context.WithoutCancel(ctx)
	if desired, _, err := read(own, c, g.Name); err == nil { // the operator may have thought for long
		l.Desired = desired
	}
	call, instances, failures := l.ask(own, c)
	l.Call, l.Errors = call, failures
	l.answered = time.Now()
	switch {
	case awsclient.IsUnsupported(l.err):
		l.Meaning += ". Effect: launches do not answer at once here, and the autoscaler raises the desired capacity"
	case awsclient.IsDenied(l.err):
		l.Meaning += ". Effect: the autoscaler raises the desired capacity, until autoscaling:LaunchInstances and ec2:CreateFleet are allowed"
	}
	if l.err == nil || l.lost() {
		again, sameInstances, sameFailures := l.ask(own, c) // AWS must answer with the same instances
		l.Repeated = &again
		l.SameInstances = again.err == nil && slices.Equal(sameInstances, instances) && slices.Equal(sameFailures, failures)
		if l.err != nil {
			l.Errors = sameFailures
			again.Meaning = cmp.Or(again.Meaning, "the same client token. The first answer was lost")
		}
	}
	if len(l.ids()) > 0 {
		l.await(ctx, c)
	}
	check.Launch = l
	return l.ids()
}

func (l *Launch) ids() (ids []string) {
	for _, i := range l.Instances {
		ids = append(ids, i.ID)
	}
	return ids
}

// lost reports whether the first call may have launched, though AWS did not say so.
func (l *Launch) lost() bool { return l.err != nil && !awsclient.IsRefused(l.err) }

func (l *Launch) ask(ctx context.Context, c *awsclient.Clients) (Call, []Instance, []Failure) {
	instances, failures := []Instance{}, []Failure{}
	answer, out := try(ctx, "autoscaling:LaunchInstances", c.AutoScaling.LaunchInstances, l.input)
	out = cmp.Or(out, &autoscaling.LaunchInstancesOutput{})
	for _, pool := range out.Instances {
		for _, id := range pool.InstanceIds {
			instances = append(instances, Instance{id, aws.ToString(pool.InstanceType), aws.ToString(pool.AvailabilityZone), aws.ToString(pool.MarketType)})
		}
	}
	for _, e := range out.Errors {
		failures = append(failures, Failure{aws.ToString(e.ErrorCode), aws.ToString(e.ErrorMessage), aws.ToString(e.InstanceType), aws.ToString(e.AvailabilityZone)})
	}
	for _, i := range instances {
		if !slices.Contains(l.ids(), i.ID) {
			l.Instances = append(l.Instances, i)
		}
	}
	return answer, instances, failures
}

// await reads the group until it shows the launched instances and the raised desired capacity. After a Ctrl-C there is no Reading.
func (l *Launch) await(interrupted context.Context, c *awsclient.Clients) {
	l.Reading = &Reading{}
	first := true
	_ = wait.PollUntilContextTimeout(interrupted, pollEvery, pollFor, true, func(ctx context.Context) (complete bool, _ error) {
		desired, states, err := read(ctx, c, l.Group)
		l.Reading.Code = awsclient.Code(err)
		if err == nil {
			l.Reading.Desired, l.Reading.Listed = desired, 0
			for _, id := range l.ids() {
				if states[id] != "" {
					l.Reading.Listed++
				}
			}
			if l.Reading.Listed == len(l.ids()) && desired >= l.Desired+len(l.ids()) {
				l.Reading.AtOnce, l.Reading.Complete, l.Reading.Seconds = first, true, time.Since(l.answered).Seconds()
			}
		}
		first = false
		return l.Reading.Complete, nil
	})
	if interrupted.Err() != nil && !l.Reading.Complete {
		l.Reading = nil
	}
}

// TakeAway terminates the launched instances and lowers the desired capacity with them, if AWS still calls them Pending.
func (check *Check) TakeAway(ctx context.Context) {
	l, c := check.Launch, check.clients
	_, states, err := read(ctx, c, l.Group)
	if err != nil {
		l.Kept = "the group could not be read: " + awsclient.Brief(err)
		return
	}
	for _, id := range l.ids() {
		if states[id] != types.LifecycleStatePending || time.Since(l.answered) > noNodeWithin {
			l.Kept = "it may be a node by now. The autoscaler drains and removes it once it is unneeded"
			return
		}
	}
	for _, id := range l.ids() {
		answer, _ := try(ctx, "autoscaling:TerminateInstanceInAutoScalingGroup", c.AutoScaling.TerminateInstanceInAutoScalingGroup,
			&autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: aws.Bool(true)})
		l.TakenAway = &answer
		if answer.err != nil {
			l.Kept = "AWS did not terminate it: " + awsclient.Brief(answer.err)
			return
		}
	}
}

// read returns the group's desired capacity and the lifecycle states of its instances by ID.
func read(ctx context.Context, c *awsclient.Clients, group string) (int, map[string]types.LifecycleState, error) {
	out, err := c.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return 0, nil, err
	}
	if len(out.AutoScalingGroups) != 1 {
		return 0, nil, fmt.Errorf("no Auto Scaling group %q", group)
	}
	states := map[string]types.LifecycleState{}
	for _, i := range out.AutoScalingGroups[0].Instances {
		states[aws.ToString(i.InstanceId)] = i.LifecycleState
	}
	return int(aws.ToInt32(out.AutoScalingGroups[0].DesiredCapacity)), states, nil
}
