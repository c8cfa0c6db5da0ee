package fakeaws

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Fault spoils calls. It applies to the calls that match every one of Service, Action, Group and Params that is set, and ends
// after Times calls or after For, whichever comes first. With neither it stays until removed.
type Fault struct {
	ID      string `json:"id,omitempty"`      // chosen by the Server if empty
	Service string `json:"service,omitempty"` // autoscaling, ec2, eks, sqs or sts
	Action  string `json:"action,omitempty"`
	Group   string `json:"group,omitempty"` // calls that name this Auto Scaling group or an instance of it

	Params map[string]string `json:"params,omitempty"` // parameters as on the wire, such as LaunchTemplateId: lt-1, "*" is any value

	Times   int      `json:"times,omitempty"`
	For     Duration `json:"for,omitempty"`
	Percent int      `json:"percent,omitempty"` // of the matching calls, by the Config's seed, 0 is all

	// Code fails the call. AccessDenied and Throttling become the code and the status the service itself uses for them. Message
	// and Status default to AWS's.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Status  int    `json:"status,omitempty"`
	Late    bool   `json:"late,omitempty"` // fail only after the call has taken effect

	// Share makes TerminateInstanceInAutoScalingGroup act on only so many percent of its InstanceIds, at least one, by the
	// seed. Answers makes it answer for only so many percent of the instances it acted on. 0 is all. AWS does not document that
	// a batch is acted on as a whole.
	Share   int `json:"share,omitempty"`
	Answers int `json:"answers,omitempty"`

	Latency Duration   `json:"latency,omitempty"` // on top of the Server's own
	Body    BodyDamage `json:"body,omitempty"`    // done to the answer, so after the call has taken effect
}

// BodyDamage is a damage to an answer's body.
type BodyDamage string

// Kinds of damage. Truncated and Garbled keep the status.
const (
	Truncated BodyDamage = "truncated" // half of it arrives, then the connection breaks
	Garbled   BodyDamage = "garbled"   // all of it arrives, but it does not parse
	Lost      BodyDamage = "lost"      // the connection breaks before any of it arrives
)

// A Shortage is a lack of capacity, or another reason not to launch, in the pools that match every field that is set. With Dies
// the launch is accepted and the instance dies:
//
//	{group: gpu, dies: 20s, times: 3, code: Client.InternalError, message: Client error on launch}
type Shortage struct {
	ID           string   `json:"id,omitempty"` // chosen by the Server if empty
	Group        string   `json:"group,omitempty"`
	InstanceType string   `json:"instanceType,omitempty"`
	Zone         string   `json:"zone,omitempty"`
	CapacityType string   `json:"capacityType,omitempty"` // on-demand or spot
	Available    int      `json:"available,omitempty"`    // instances that may still be launched
	For          Duration `json:"for,omitempty"`          // until removed if zero

	// Code and Message are the reason in the scaling activity. Default is InsufficientInstanceCapacity, and Client.InternalError with Dies.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`

	// Dies is how long an instance is Pending before it dies. It never runs. Auto Scaling replaces it like any unhealthy instance, or with
	// NoRetry only after a change of the desired capacity. Times and Percent limit how many launches die. Default is all. Available
	// launches succeed first.
	Dies    Duration `json:"dies,omitempty"`
	Times   int      `json:"times,omitempty"`
	Percent int      `json:"percent,omitempty"`
	NoRetry bool     `json:"noRetry,omitempty"`

	// Unnamed keeps the pools out of the answer of LaunchInstances, as if EC2 had not tried them. AWS does not document that it tries all.
	Unnamed bool `json:"unnamed,omitempty"`
}

type faultSet struct {
	mu        sync.Mutex
	next      int
	random    *rand.Rand
	faults    []*activeFault
	shortages []*activeShortage
}

type activeFault struct {
	Fault
	until time.Time // zero for no end
}

type activeShortage struct {
	Shortage
	until time.Time
}

func newFaultSet(seed uint64) *faultSet { return &faultSet{random: rand.New(rand.NewPCG(seed+1, 2))} }

// Inject puts a Fault in force and returns its ID.
func (s *Server) Inject(f Fault) string {
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.ID = fs.id(f.ID, "fault")
	fs.faults = append(fs.faults, &activeFault{Fault: f, until: end(f.For)})
	return f.ID
}

// Deny refuses an action as IAM does, until removed. It returns the ID of the Fault.
func (s *Server) Deny(action string) string {
	return s.Inject(Fault{Action: action, Code: codeAccessDenied})
}

// ClearFaults removes the Faults with the given IDs, or all of them if none is given.
func (s *Server) ClearFaults(ids ...string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.faults = slices.DeleteFunc(s.faults.faults, func(f *activeFault) bool { return len(ids) == 0 || slices.Contains(ids, f.ID) })
}

// Faults returns the Faults in force, Times counted down.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.expire()
	out := []Fault{}
	for _, f := range s.faults.faults {
		out = append(out, f.Fault)
	}
	return out
}

// AddShortage puts a Shortage in force and returns its ID.
func (s *Server) AddShortage(sh Shortage) string {
	fs := s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	sh.ID = fs.id(sh.ID, "shortage")
	fs.shortages = append(fs.shortages, &activeShortage{Shortage: sh, until: end(sh.For)})
	return sh.ID
}

// ClearShortages removes the Shortages with the given IDs, or all of them if none is given. Groups notice at their next attempt
// to launch, at most Delays.Retry later.
func (s *Server) ClearShortages(ids ...string) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.shortages = slices.DeleteFunc(s.faults.shortages, func(sh *activeShortage) bool { return len(ids) == 0 || slices.Contains(ids, sh.ID) })
}

func (fs *faultSet) id(chosen, kind string) string {
	if chosen != "" {
		return chosen
	}
	fs.next++
	return fmt.Sprintf("%s-%d", kind, fs.next)
}

// end is the time a duration from now ends at, none for zero.
func end(d Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(d))
}

// expire drops expired faults and shortages. Called with mu held.
func (fs *faultSet) expire() {
	over := func(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }
	fs.faults = slices.DeleteFunc(fs.faults, func(f *activeFault) bool { return f.Times < 0 || over(f.until) })
	fs.shortages = slices.DeleteFunc(fs.shortages, func(sh *activeShortage) bool { return sh.Times < 0 || over(sh.until) })
}

// strike returns the faults that hit this call, and counts them down.
func (fs *faultSet) strike(r *request, groups []string) []Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.expire()
	var hit []Fault
	for _, f := range fs.faults {
		if f.matches(r, groups) && (f.Percent <= 0 || fs.random.IntN(100) < f.Percent) {
			hit = append(hit, f.Fault)
			countDown(&f.Times)
		}
	}
	return hit
}

func (f *activeFault) matches(r *request, groups []string) bool {
	for key, value := range f.Params {
		if got := r.form.get(key); got != value && (value != "*" || got == "") {
			return false
		}
	}
	return (f.Service == "" || f.Service == r.service) &&
		(f.Action == "" || f.Action == r.action) &&
		(f.Group == "" || slices.Contains(groups, f.Group))
}

// countDown uses up one of Times. Below zero the fault or the shortage is spent.
func countDown(times *int) {
	switch {
	case *times == 1:
		*times = -1
	case *times > 1:
		*times--
	}
}

// take requests one instance of a pool. It returns the Shortage that refuses it. Otherwise it returns nil, and the instance
// counts against every Shortage with instances left.
func (fs *faultSet) take(group string, p pool) *Shortage {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.expire()
	var counted []*activeShortage
	for _, sh := range fs.shortages {
		if sh.Dies != 0 || !sh.covers(group, p) {
			continue
		}
		if sh.Available <= 0 {
			against := sh.Shortage
			return &against
		}
		counted = append(counted, sh)
	}
	for _, sh := range counted {
		sh.Available--
	}
	return nil
}

func (sh *activeShortage) covers(group string, p pool) bool {
	return (sh.Group == "" || sh.Group == group) &&
		(sh.InstanceType == "" || sh.InstanceType == p.instanceType) &&
		(sh.Zone == "" || sh.Zone == p.zone) &&
		(sh.CapacityType == "" || sh.CapacityType == p.capacityType)
}

// launchFailure is the code and text of a failed attempt, as EC2 reports it to Auto Scaling.
type launchFailure struct {
	code, text string
	bare       bool // no "Could not launch" in front, as for errors found before EC2 is asked
	unnamed    bool // by the answer of LaunchInstances
}

// statusMessage is the failure in the history: with capacity type and code for mixed instances policies, plain for groups of one template.
func (f launchFailure) statusMessage(mixed bool, capacityType string) string {
	const tail = " Launching EC2 instance failed."
	if f.bare || !mixed {
		return f.text + tail
	}
	market := "On-Demand"
	if capacityType == spot {
		market = "Spot"
	}
	return fmt.Sprintf("Could not launch %s Instances. %s - %s%s", market, f.code, f.text, tail)
}

// poolFailure is why EC2 will not launch in a pool. If it is nil, one instance of the pool is taken.
func (a *account) poolFailure(g *group, p pool) *launchFailure {
	if failure := a.unoffered(p); failure != nil {
		return failure
	}
	short := a.faults.take(g.Name, p)
	if short == nil {
		return nil
	}
	code := first(short.Code, "InsufficientInstanceCapacity")
	return &launchFailure{code: code, text: first(short.Message, a.shortageText(g, p, code)), unnamed: short.Unnamed}
}

func (a *account) shortageText(g *group, p pool, code string) string {
	switch code {
	case "UnfulfillableCapacity":
		return "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again."
	case "MaxSpotInstanceCountExceeded":
		return "Max spot instance count exceeded"
	case "VcpuLimitExceeded":
		return "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the " +
			"specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
	case "InsufficientInstanceCapacity":
		if p.capacityType == spot {
			return "There is no Spot capacity available that matches your request."
		}
		return noCapacityText(p, g.Zones)
	}
	return code
}

// noCapacityText is EC2's text for on-demand, which names the other zones.
func noCapacityText(p pool, zones []string) string {
	text := "We currently do not have sufficient " + p.instanceType + " capacity in the Availability Zone you requested (" + p.zone +
		"). Our system will be working on provisioning additional capacity."
	others := slices.DeleteFunc(slices.Clone(zones), func(z string) bool { return z == p.zone })
	if len(others) == 0 {
		return text
	}
	return text + " You can currently get " + p.instanceType + " capacity by not specifying an Availability Zone in your request or choosing " +
		strings.Join(others, ", ") + "."
}

// noRetry is as good as never.
const noRetry = 100 * 365 * 24 * time.Hour

// die ends an instance while it is Pending, although EC2 accepted its launch. Auto Scaling cancels the launch's activity and
// writes the reason into message and description (wording from public activity logs, read 2026-11).
func (a *account) die(i *instance, sh Shortage) {
	if i.state != pending || i.dead {
		return
	}
	g := i.group
	i.dead = true
	i.reason = &ec2Reason{Code: first(sh.Code, "Client.InternalError")}
	i.reason.Message = i.reason.Code + ": " + first(sh.Message, "Client error on launch")
	message := "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + i.reason.Message
	i.launching.finish(activityCancelled, message)
	i.launching.description += ".  Status Reason: " + message
	a.publishActivity(launchUnsuccessful, activityFailed, i.launching, i.id)
	e := i.event(LaunchFailed)
	e.Message = message
	a.events.add(e)
	a.changeState(i, "shutting-down")
	if sh.NoRetry {
		g.retryAt = time.Now().Add(noRetry)
	}
	a.replaceUnhealthy(i)
}

// doomed returns the Shortage by which a launch in a pool dies, or nil, and counts it down.
func (fs *faultSet) dyingLaunch(group string, p pool) *Shortage {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.expire()
	for _, sh := range fs.shortages {
		if sh.Dies == 0 || !sh.covers(group, p) || sh.Percent > 0 && fs.random.IntN(100) >= sh.Percent {
			continue
		}
		if sh.Available > 0 {
			sh.Available--
			continue
		}
		countDown(&sh.Times)
		against := sh.Shortage
		return &against
	}
	return nil
}
