package fakeaws

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// An account is the state behind the API. Its operations, and every method that does not say otherwise, are called with mu held.
type account struct {
	region, id, partition string
	delays                Delays
	diversify             bool
	launchNeeds           []string

	types    *catalogue
	timeline *timeline
	events   *eventLog
	faults   *faultSet

	mu         sync.Mutex
	groups     map[string]*group
	templates  map[string]*template // by ID
	templateID map[string]string    // by name
	configs    map[string]LaunchConfiguration
	nodegroups map[string]EKSNodegroup // by cluster/name

	accessEntries map[string][]string
	network       Network
	queues        []*queue
	announced     int // events that EventBridge has got
	images        map[string]Image
	ssm           map[string]string
	spotPrices    []SpotPrice            // by pool, the newest of each first
	instances     map[string]*instance   // by ID, recently terminated ones included
	activities    map[string][]*activity // by group, oldest first, outlives the group
	sequence      int                    // numbers everything that has a number
	addresses     int                    // given to instances so far
	nodes         map[string]nodeSink    // by cluster, once it is attached
	started       time.Time
	tokens        *clientTokens // of LaunchInstances
	lacks         Lacks
	authority     authority
	roles         map[string]*role
	sessions      map[string]string   // names of roles, by access key
	providers     []string            // of OpenID Connect, without the scheme
	offerings     map[string][]string // zones by instance type

	past      past
	strict    bool
	skew      time.Duration // how far AWS's clock is ahead
	deeds     []Deed        // to come from the start
	scheduled scheduled
	random    *rand.Rand
	created   map[string]int               // how often, by name of the group
	returning map[string]*AutoScalingGroup // by name, groups that were deleted and are to come back
}

// A nodeSink creates and deletes the Nodes of instances. Its methods must not block.
type nodeSink interface {
	register(nodeSpec)
	remove(nodeName string)
	reboot(nodeName, bootID string, down time.Duration)
}

// A template is a launch template. Versions count from 1.
type template struct{ LaunchTemplate }

func newAccount(cfg Config, types *catalogue, tl *timeline, events *eventLog, faults *faultSet) *account {
	a := &account{
		region: cfg.Region, id: cfg.Account, partition: partitionOf(cfg.Region),
		delays: cfg.Delays, diversify: cfg.DiversifySpot, launchNeeds: cfg.LaunchNeeds,
		types: types, timeline: tl, events: events, faults: faults,
		groups:     map[string]*group{},
		templates:  map[string]*template{},
		templateID: map[string]string{},
		configs:    map[string]LaunchConfiguration{},
		nodegroups: map[string]EKSNodegroup{}, accessEntries: cfg.AccessEntries, network: cfg.Network,
		images:     map[string]Image{},
		ssm:        maps.Collect(maps.All(cfg.SSMParameters)),
		instances:  map[string]*instance{},
		nodes:      map[string]nodeSink{},
		roles:      map[string]*role{},
		sessions:   map[string]string{},
		activities: map[string][]*activity{},
		started:    time.Now(),
		tokens:     newClientTokens(time.Duration(cfg.ClientTokens)),
		strict:     cfg.Strict,
		lacks:      cfg.Lacks,
		offerings:  cfg.Offerings,

		deeds:     cfg.Deeds,
		random:    newRandom(cfg.Seed),
		created:   map[string]int{},
		returning: map[string]*AutoScalingGroup{},
		authority: authority{used: map[string]bool{}},
	}
	a.authority.policies, _ = parsePolicies(cfg.Policies) // New has validated them
	for _, t := range cfg.LaunchTemplates {
		a.addTemplate(t)
	}
	for _, lc := range cfg.LaunchConfigurations {
		a.configs[lc.Name] = lc
	}
	for _, ng := range cfg.EKSNodegroups {
		a.nodegroups[ng.Cluster+"/"+ng.Name] = ng
	}
	for _, img := range cfg.Images {
		a.images[img.ID] = img
	}
	for _, p := range cfg.SpotPrices {
		a.setSpotPrice(p, a.started.Add(-time.Hour))
	}
	for _, q := range cfg.Queues {
		a.queues = append(a.queues, newQueue(a, q, cfg.Seed))
	}
	for _, g := range cfg.AutoScalingGroups {
		a.groups[g.Name] = newGroup(a, g)
	}
	return a
}

func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// hexID derives n hex digits from a name. They are the same at each start, and as scattered as AWS's.
func hexID(n int, parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return hex.EncodeToString(sum[:])[:n]
}

// numberedID is a new ID of the kind AWS gives to instances and volumes.
func (a *account) numberedID(prefix string) string {
	a.sequence++
	return prefix + "0" + hexID(16, a.id, prefix, a.sequence)
}

// numberedUUID is a new ID of the kind activities have.
func (a *account) numberedUUID() string {
	a.sequence++
	return uuidOf(a.id, "activity", a.sequence)
}

func uuidOf(parts ...any) string {
	h := hexID(32, parts...)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func (a *account) groupARN(uuid, name string) string {
	return fmt.Sprintf("arn:%s:autoscaling:%s:%s:autoScalingGroup:%s:autoScalingGroupName/%s", a.partition, a.region, a.id, uuid, name)
}

func (a *account) callerARN(caller string) string {
	return fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/fakeaws", a.partition, a.id, first(a.sessions[caller], "cluster-autoscaler"))
}

func (a *account) sortedGroups() []*group {
	return slices.SortedFunc(maps.Values(a.groups), func(x, y *group) int { return strings.Compare(x.Name, y.Name) })
}

// findGroup is Auto Scaling's look-up for actions that need the group.
func (a *account) findGroup(name string) (*group, error) {
	if name == "" {
		return nil, invalid("1 validation error detected: Value null at 'autoScalingGroupName' failed to satisfy constraint: Member must not be null")
	}
	if g, ok := a.groups[name]; ok {
		return g, nil
	}
	return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup: %s not found", name)
}

func (a *account) addTemplate(t LaunchTemplate) *template {
	if t.ID == "" {
		t.ID = derivedTemplateID(t.Name)
	}
	t.Default = first(t.Default, 1)
	added := &template{t}
	a.templates[t.ID], a.templateID[t.Name] = added, t.ID
	return added
}

// derivedTemplateID is the ID of a launch template whose Config has none.
func derivedTemplateID(name string) string { return "lt-0" + hexID(16, "launch template", name) }

// template finds a launch template by ID, or else by name. It is nil if there is none.
func (a *account) template(ref LaunchTemplateRef) *template {
	return a.templates[first(ref.ID, a.templateID[ref.Name])]
}

func (a *account) deleteTemplate(t *template) {
	delete(a.templates, t.ID)
	delete(a.templateID, t.Name)
}

// number resolves $Latest, $Default and none to a version number. It is 0 if there is no such version.
func (t *template) number(version string) int {
	switch version {
	case "", "$Default":
		return t.Default
	case "$Latest":
		return len(t.Versions)
	}
	var n int
	if _, err := fmt.Sscanf(version, "%d", &n); err != nil || n < 1 || n > len(t.Versions) || fmt.Sprint(n) != version {
		return 0
	}
	return n
}
