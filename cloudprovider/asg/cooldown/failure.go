package cooldown

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
)

const (
	namedTypes = 3   // bounds the instance types that a failure names
	maxMessage = 500 // bounds the stored part of AWS's text, in bytes
)

type Failure struct {
	At      time.Time
	Code    string // AWS's own code, or one that stands for the message where it has none
	Message string
	Class   awsmessage.Class
	Pool    Pool // as far as AWS names it
}

func NewFailure(m awsmessage.Meaning, message string, at time.Time) *Failure {
	return &Failure{At: at, Code: m.Code, Message: awsmessage.Bounded(message, maxMessage), Class: m.Class, Pool: poolOf(m)}
}

// codeless are the codes for messages in which AWS gives none.
var codeless = map[awsmessage.Class]string{
	awsmessage.NoCapacity:    "InsufficientInstanceCapacity",
	awsmessage.Quota:         "VcpuLimitExceeded",
	awsmessage.SpotLimit:     "MaxSpotInstanceCountExceeded",
	awsmessage.Configuration: "InvalidLaunchTemplate",
}

// LacksCapacity reports whether the same launch succeeds once AWS has capacity, with no other change.
func (f *Failure) LacksCapacity() bool {
	return f.Class == awsmessage.NoCapacity || f.Class == awsmessage.SpotLimit || f.Class == awsmessage.Quota
}

func (f *Failure) Meaning() awsmessage.Meaning {
	return awsmessage.Meaning{Class: f.Class, Code: f.Code, InstanceType: f.Pool.InstanceType, Zone: f.Pool.Zone, CapacityType: f.Pool.CapacityType}
}

// Failures are the reasons AWS gave for one launch, one for each pool.
type Failures []Failure

// Kind is a group of failures of one class and code in one zone and capacity type: the first of them, and the types of all.
type Kind struct {
	Failure
	types []string
}

// Kinds groups the failures by kind, in the order of first occurrence. A group of hundreds of types without capacity has one kind for
// each zone.
func (f Failures) Kinds() []Kind {
	var kinds []Kind
	for _, failure := range f {
		at := slices.IndexFunc(kinds, func(k Kind) bool {
			return k.Class == failure.Class && k.Code == failure.Code && k.Pool.Zone == failure.Pool.Zone && k.Pool.CapacityType == failure.Pool.CapacityType
		})
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, Kind{Failure: failure})
		}
		if name := failure.Pool.InstanceType; name != "" && !slices.Contains(kinds[at].types, name) {
			kinds[at].types = append(kinds[at].types, name)
		}
	}
	return kinds
}

// Pools names where the failures occurred, such as "spot m5.large, m5.xlarge, m6i.large and 297 more us-west-2a".
func (k Kind) Pools() string {
	pool := k.Pool
	if len(k.types) > 1 {
		pool.InstanceType = strings.Join(k.types[:min(len(k.types), namedTypes)], ", ")
	}
	if more := len(k.types) - namedTypes; more > 0 {
		pool.InstanceType += fmt.Sprintf(" and %d more", more)
	}
	return pool.String()
}

// ofZone is in the text of a failure that concerns the subnet or the zone alone, whatever its class.
var ofZone = regexp.MustCompile(`subnet ID .*does not exist|requested Availability Zone is`)

// FailedLaunch is a launch that AWS gave up, by AWS's clock.
type FailedLaunch struct {
	Failure
	Ended time.Time
}

func FailedLaunches(activities []types.Activity) []FailedLaunch {
	var failures []FailedLaunch
	for _, a := range activities {
		if !failed(a) {
			continue
		}
		// Such as "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches your request."
		message := aws.ToString(a.StatusMessage)
		f := FailedLaunch{Failure: *NewFailure(awsmessage.Of("", message), message, aws.ToTime(a.StartTime)), Ended: aws.ToTime(a.EndTime)}
		if awsmessage.AbandonedByHook(message) {
			f.Code = "LifecycleHookAbandoned"
		}
		f.Code = cmp.Or(f.Code, codeless[f.Class], "LaunchFailed")
		if f.Ended.Before(f.At) {
			f.Ended = f.At
		}
		if f.Class == awsmessage.NoCapacity || f.Code == "Unsupported" || ofZone.MatchString(f.Message) { // other failures may concern all zones
			var details struct {
				Zone string `json:"Availability Zone"`
			}
			_ = json.Unmarshal([]byte(aws.ToString(a.Details)), &details) // AWS promises no form of it
			f.Pool.Zone = cmp.Or(f.Pool.Zone, details.Zone)
		}
		failures = append(failures, f)
	}
	return failures
}

// failed reports whether the activity is a launch that failed: EC2 refused it, the instance died before it was in service, or a lifecycle hook
// abandoned it. AWS calls the latter two "Cancelled", as it does a launch that somebody took back.
func failed(a types.Activity) bool {
	_, launching, _ := Subject(a)
	return launching && (a.StatusCode == types.ScalingActivityStatusCodeFailed ||
		a.StatusCode == types.ScalingActivityStatusCodeCancelled && afterLaunch(aws.ToString(a.StatusMessage)))
}

// afterLaunch reports whether the instance was launched, and died or was abandoned before it was in service.
func afterLaunch(message string) bool {
	return strings.Contains(message, "became unhealthy") || awsmessage.AbandonedByHook(message)
}

// Lasts reports whether AWS's next attempt has no better chance than the failed one.
func (f FailedLaunch) Lasts() bool {
	return f.Class != awsmessage.Transient && f.Class != awsmessage.Throttle
}

func Those(failures []FailedLaunch, counts func(FailedLaunch) bool) (those Failures) {
	for _, f := range failures {
		if counts(f) {
			those = append(those, f.Failure)
		}
	}
	return those
}

func (f Failures) First() *Failure {
	if len(f) == 0 {
		return nil
	}
	return &f[0]
}

// subject finds the instance in "Launching a new EC2 instance: i-1", "Launching a new EC2 instance from warm pool: i-1" and "Terminating EC2 instance:
// i-1 - Waiting For ELB Connection Draining."
var subject = regexp.MustCompile(`: (i-[\w-]+)`)

// deed finds what a description says in words like AWS's, or that it is no launch.
var deed = regexp.MustCompile(`^\w+ing\b|(?i)terminat|remov|detach|scal\w*[ -]in\b`)

// Subject reads what an activity does to which instance of the group. The ID is empty where the description names none. A launch into the warm pool,
// beside the group, is none. Other endpoints may leave the description out, or have words of their own: then the activity counts as a launch.
func Subject(a types.Activity) (id string, launching, terminating bool) {
	act := aws.ToString(a.Description)
	if found := subject.FindStringSubmatch(act); found != nil {
		id = found[1]
	}
	launching = (strings.HasPrefix(act, "Launching") || !deed.MatchString(act)) && !strings.Contains(act, "into warm pool")
	return id, launching, strings.HasPrefix(act, "Terminating")
}
