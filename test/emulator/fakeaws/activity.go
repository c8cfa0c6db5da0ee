package fakeaws

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An activity is one entry of a group's scaling history.
type activity struct {
	id                                          string
	sequence                                    int
	group, groupARN, description, cause, status string
	message                                     string
	recorded                                    time.Time // when it could first be read
	before                                      *activity // its state until it ended
	replaced                                    time.Time // since when the activities of its outcome are in its place
	started, ended                              time.Time
	progress                                    int
	zone, subnet                                string
}

// Status codes of activities.
const (
	activityPreInService = "PreInService"
	activitySuccessful   = "Successful"
	activityFailed       = "Failed"
	activityCancelled    = "Cancelled"
	activityInProgress   = "InProgress"
	activityMidLifecycle = "MidLifecycleAction"
	activityWaiting      = "WaitingForInstanceId"
)

func (a *account) record(g *group, act activity) *activity {
	act.id, act.group, act.groupARN = a.numberedUUID(), g.Name, g.arn
	act.sequence, act.subnet, act.recorded = a.sequence, subnetID(act.zone), time.Now()
	a.activities[g.Name] = append(a.activities[g.Name], &act)
	return &act
}

// recordRequests records the instances that an attempt requests from EC2. Their launches are in progress, and no instance has an ID yet.
func (a *account) recordRequests(g *group, attempt int, slots []slot, why string) []*activity {
	var requests []*activity
	for n, s := range slots {
		now := time.Now()
		requests = append(requests, &activity{
			id: uuidOf(a.id, "attempt", attempt, n), sequence: attempt, group: g.Name, groupARN: g.arn, recorded: now,
			description: "Launching a new EC2 instance", cause: launchCause(why, now, g.capacity(), g.Desired),
			status: activityWaiting, started: now, zone: s.zone, subnet: subnetID(s.zone),
		})
	}
	a.activities[g.Name] = append(a.activities[g.Name], requests...)
	return requests
}

// replace ends requests whose outcome is about to be recorded. They stay as long as an old reading can show them.
func (a *account) replace(g *group, requests []*activity) {
	for _, act := range requests {
		act.replaced = time.Now()
	}
	a.activities[g.Name] = slices.DeleteFunc(a.activities[g.Name], func(act *activity) bool {
		return !act.replaced.IsZero() && time.Since(act.replaced) >= time.Duration(a.past.Most)
	})
}

func subnetID(zone string) string { return "subnet-0" + hexID(16, "subnet", zone) }

func (act *activity) finish(status, message string) {
	before := *act
	act.before = &before
	act.status, act.message, act.ended, act.progress = status, message, time.Now(), 100
}

// seconds formats a time as causes do.
func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// launchCause is the cause of a launch, after why. A launch in place of another instance is for no difference in capacity.
func launchCause(why string, at time.Time, from, to int) string {
	if strings.Contains(why, "was launched") {
		return why
	}
	return why + fmt.Sprintf("At %s an instance was started in response to a difference between desired and actual capacity, "+
		"increasing the capacity from %d to %d.", seconds(at), from, to)
}

// userChange precedes causes when a user changed the desired capacity.
func userChange(at time.Time, from, to int) string {
	return fmt.Sprintf("At %s a user request explicitly set group desired capacity changing the desired capacity from %d to %d.  ",
		seconds(at), from, to)
}

// takenCause is the cause of a termination by a user.
func takenCause(at time.Time, id string, decrement bool, from, to int) string {
	cause := fmt.Sprintf("At %s instance %s was taken out of service in response to a user request", seconds(at), id)
	if decrement {
		return cause + fmt.Sprintf(", shrinking the capacity from %d to %d.", from, to)
	}
	return cause + "."
}

// shrinkCause is the cause of a termination that Auto Scaling chose itself.
func shrinkCause(at time.Time, id string, from, to int) string {
	return fmt.Sprintf("At %s an instance was taken out of service in response to a difference between desired and actual capacity, "+
		"shrinking the capacity from %d to %d.  At %s instance %s was selected for termination.", seconds(at), from, to, seconds(at), id)
}

// unhealthyCause is the cause of a termination by EC2.
func unhealthyCause(at time.Time) string {
	return fmt.Sprintf("At %s an instance was taken out of service in response to an EC2 health check indicating it has been "+
		"terminated or stopped.", seconds(at))
}

// Codes that a Fault may name and every service spells in its own way.
const (
	codeAccessDenied = "AccessDenied"
	codeThrottling   = "Throttling"
)

// dialect is each service's spelling of a refusal and a throttle.
var dialect = map[string]struct {
	denied, throttled         string
	deniedStatus, throttledAt int
}{
	serviceAutoScaling: {"AccessDenied", "Throttling", http.StatusForbidden, http.StatusBadRequest},
	serviceEC2:         {"UnauthorizedOperation", "RequestLimitExceeded", http.StatusForbidden, http.StatusServiceUnavailable},
	serviceEKS:         {"AccessDeniedException", "ThrottlingException", http.StatusForbidden, http.StatusTooManyRequests},
	serviceSQS:         {"AccessDenied", "RequestThrottled", http.StatusForbidden, http.StatusForbidden},
	serviceSTS:         {"AccessDenied", "Throttling", http.StatusForbidden, http.StatusBadRequest},
	serviceIAM:         {"AccessDenied", "Throttling", http.StatusForbidden, http.StatusBadRequest},
	serviceZonalShift:  {"AccessDeniedException", "ThrottlingException", http.StatusForbidden, http.StatusTooManyRequests},
}

// AWS's statuses and messages for a code, where a Fault leaves them out.
var (
	statuses = map[string]int{
		"AccessDenied": 403, "UnauthorizedOperation": 403, "AccessDeniedException": 403, "AuthFailure": 401,
		"ExpiredToken": 403, "RequestExpired": 400, "InvalidClientTokenId": 403,
		"RequestLimitExceeded": 503, "DryRunOperation": 412, "InternalFailure": 500, "InternalError": 500, "ServiceUnavailable": 503,
		"Unavailable": 503, "ServerException": 500, "ThrottlingException": 429, "ResourceContention": 500,
	}
	messages = map[string]string{
		"Throttling":           "Rate exceeded",
		"ThrottlingException":  "Rate exceeded",
		"RequestThrottled":     "Rate exceeded",
		"RequestLimitExceeded": "Request limit exceeded.",
		"ExpiredToken":         "The security token included in the request is expired",
		"InvalidClientTokenId": "The security token included in the request is invalid.",
		"InternalFailure":      "An internal error has occurred",
		"InternalError":        "An internal error has occurred",
		"ServiceUnavailable":   "Service is unable to handle request.",
		"ResourceContention":   "You already have a pending update to an Amazon EC2 Auto Scaling resource.",
	}
)

// failureOf is the error of the first fault that has one, or nil. It stands in the place of the real answer, or, if late, comes after it.
// Called without mu held.
func failureOf(req *request, a *account, hits []Fault) (failure *apiError, late bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range hits {
		if f.Code != "" {
			return faultError(req, a, f), f.Late
		}
	}
	return nil, false
}

// faultError fills in the fields that the Fault leaves to AWS.
func faultError(req *request, a *account, f Fault) *apiError {
	e := &apiError{Code: f.Code, Message: f.Message, Status: f.Status}
	spelling, known := dialect[req.service]
	if known && f.Code == codeAccessDenied {
		e.Code, e.Status = spelling.denied, first(f.Status, spelling.deniedStatus)
	}
	if known && f.Code == codeThrottling {
		e.Code, e.Status = spelling.throttled, first(f.Status, spelling.throttledAt)
	}
	e.Status = first(e.Status, statuses[e.Code], http.StatusBadRequest)
	if e.Message == "" {
		e.Message = defaultMessage(req, a, e.Code)
	}
	return e
}

// defaultMessage is AWS's text for a code. Refusals name the caller, the action and the resource.
func defaultMessage(req *request, a *account, code string) string {
	switch code {
	case "AccessDenied", "AccessDeniedException":
		resource := anyResource
		if groups := req.groups(); len(groups) == 1 {
			resource = a.groupARN("*", groups[0])
		}
		if req.service == serviceSQS {
			resource = a.queueARN(req.form)
		}
		return a.notAuthorized(req.caller, req.service+":"+req.action, resource, false)
	case "UnauthorizedOperation":
		return ec2NotAuthorized + a.notAuthorized(req.caller, req.service+":"+req.action, anyResource, false)
	}
	return first(messages[code], code)
}

// first returns the first value that is not zero.
func first[T comparable](values ...T) T {
	var zero T
	for _, v := range values {
		if v != zero {
			return v
		}
	}
	return zero
}
