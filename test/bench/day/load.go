package day

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
)

const (
	day      = 24 * time.Hour
	region   = "us-east-1"
	gpuTaint = "nvidia.com/gpu:NoSchedule"
	spotMark = "lifecycle=spot:NoSchedule" // the taint of spot nodes
)

// A service is a Deployment whose replicas follow the day.
type service struct {
	name, cpu, memory string
	gpu               int
	spot              bool // tolerates spot nodes
	least, most       int  // replicas at night and at noon
}

// A batch is a kind of Job.
type batch struct {
	name, cpu, memory string
	gpu               int
	spot              bool
	kept              bool // its pods ask not to be evicted
	jobs              int  // of a day
	least, most       int  // pods of a Job
	short, long       time.Duration
}

// A plan is what a mix is drawn from.
type plan struct {
	name, about string
	types       []string // a group on-demand and one of spot for each
	services    []service
	batches     []batch
	daemons     []service
}

var general = []string{"m5.large", "m5.xlarge", "m5.2xlarge", "c5.xlarge", "c5.2xlarge", "r5.large", "r5.xlarge"}

// plans are all mixes, in the order of the report.
var plans = []plan{
	{name: "web", about: "ten services that follow the day, half of which tolerate spot nodes", types: general,
		services: []service{
			{name: "front", cpu: "250m", memory: "512Mi", least: 6, most: 30},
			{name: "api", cpu: "500m", memory: "1Gi", least: 5, most: 24},
			{name: "search", cpu: "1", memory: "4Gi", least: 3, most: 12},
			{name: "cart", cpu: "300m", memory: "768Mi", least: 3, most: 14},
			{name: "session", cpu: "200m", memory: "2Gi", least: 3, most: 10},
			{name: "images", cpu: "1500m", memory: "2Gi", spot: true, least: 2, most: 10},
			{name: "render", cpu: "750m", memory: "1Gi", spot: true, least: 3, most: 18},
			{name: "feed", cpu: "400m", memory: "1536Mi", spot: true, least: 4, most: 16},
			{name: "mail", cpu: "150m", memory: "256Mi", spot: true, least: 2, most: 8},
			{name: "recommend", cpu: "1", memory: "6Gi", spot: true, least: 2, most: 8},
		}},
	{name: "mixed", about: "services, Jobs of minutes and of hours, GPU pods, and two DaemonSets", types: append(slices.Clone(general), "g4dn.xlarge", "g5.xlarge"),
		services: []service{
			{name: "front", cpu: "250m", memory: "512Mi", least: 5, most: 24},
			{name: "api", cpu: "500m", memory: "1Gi", least: 4, most: 18},
			{name: "search", cpu: "1", memory: "4Gi", least: 2, most: 8},
			{name: "feed", cpu: "400m", memory: "1536Mi", spot: true, least: 3, most: 12},
			{name: "recommend", cpu: "1", memory: "6Gi", spot: true, least: 2, most: 6},
			{name: "infer", cpu: "2", memory: "8Gi", gpu: 1, least: 1, most: 4},
		},
		batches: []batch{
			{name: "short", cpu: "1", memory: "2Gi", spot: true, jobs: 48, least: 2, most: 8, short: 10 * time.Minute, long: 40 * time.Minute},
			{name: "long", cpu: "2", memory: "6Gi", spot: true, kept: true, jobs: 10, least: 1, most: 4, short: 2 * time.Hour, long: 5 * time.Hour},
			{name: "train", cpu: "3", memory: "10Gi", gpu: 1, spot: true, kept: true, jobs: 5, least: 1, most: 2, short: time.Hour, long: 3 * time.Hour},
		},
		daemons: []service{{name: "agent", cpu: "100m", memory: "256Mi"}, {name: "logs", cpu: "50m", memory: "384Mi"}},
	},
}

// spotRatios are the prices of spot nodes over the list price, by the letter of the family.
var spotRatios = map[byte]float64{'m': 0.38, 'c': 0.42, 'r': 0.35, 'g': 0.45}

// curve returns the part of the way from night to noon at a time of the day. It is least before dawn and most at noon, and has a second
// hill in the evening. Between two points it is a line.
var curve = []struct{ hour, level float64 }{{0, 0.25}, {2, 0.08}, {5, 0}, {7, 0.25}, {9, 0.7}, {12, 1}, {15, 0.75}, {17, 0.7}, {20, 0.95}, {22, 0.6}, {24, 0.25}}

func level(hour float64) float64 {
	hour = math.Mod(hour+24, 24)
	for n := 1; n < len(curve); n++ {
		if from, to := curve[n-1], curve[n]; hour <= to.hour {
			return from.level + (to.level-from.level)*(hour-from.hour)/(to.hour-from.hour)
		}
	}
	return 0
}

// A load is a mix of pods with its day.
type load struct {
	plan
	mix     *mix.Mix // one pod of each workload
	changes []change // in the order of their time
}

// A change is one step of the load: a Deployment gets replicas, or a Job begins.
type change struct {
	at       time.Duration // of the day
	workload string
	pods     int
	job      string        // its name, empty for a Deployment
	length   time.Duration // of the day, of the Job's pods
}

const (
	step    = 5 * time.Minute  // of the day, between two looks at the services
	noise   = 0.08             // replicas are up to so much more or less
	noiseOf = 20 * time.Minute // of the day, for which they are
	shift   = 1.0              // hours by which a service is up to so much early or late
)

// load draws the day by the seed. The same seed gives the same day.
func (p plan) load(seed uint64) (*load, error) {
	l := &load{plan: p}
	random := rand.New(rand.NewPCG(seed, 2026))
	for _, s := range p.services {
		late, now, factor := shift*(2*random.Float64()-1), -1, 1.0
		for at := time.Duration(0); at < day; at += step {
			if at%noiseOf == 0 {
				factor = 1 + noise*(2*random.Float64()-1)
			}
			pods := int(math.Round((float64(s.least) + float64(s.most-s.least)*level(at.Hours()-late)) * factor))
			if pods = max(1, pods); pods != now {
				l.changes = append(l.changes, change{at: at, workload: s.name, pods: pods})
				now = pods
			}
		}
	}
	for _, b := range p.batches {
		for n := range b.jobs {
			l.changes = append(l.changes, change{workload: b.name, job: fmt.Sprintf("%s-%d", b.name, n+1), at: time.Duration(random.Float64() * float64(day)).Round(time.Second),
				pods: b.least + random.IntN(b.most-b.least+1), length: (b.short + time.Duration(random.Float64()*float64(b.long-b.short))).Round(time.Second)})
		}
	}
	slices.SortStableFunc(l.changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	var err error
	l.mix, err = p.mix()
	return l, err
}

// mix is the plan in the form of bench-cost, with one pod of each workload.
func (p plan) mix() (*mix.Mix, error) {
	type fields = map[string]any
	file := fields{"name": p.name, "about": p.about, "region": region}
	var groups, pods, daemons []fields
	for _, t := range p.types {
		price, ok := pricing.Embedded(region).Lookup(t)
		if !ok {
			return nil, fmt.Errorf("no price of %s is known", t)
		}
		taints := []string{}
		if t[0] == 'g' {
			taints = append(taints, gpuTaint)
		}
		groups = append(groups, fields{"name": t, "type": t, "taints": taints},
			fields{"name": t + "-spot", "type": t, "capacityType": "spot", "price": price.Amount.PerHour * spotRatios[t[0]], "taints": append(slices.Clone(taints), spotMark)})
	}
	one := func(name, cpu, memory string, gpu int, spot bool) fields {
		tolerations := []string{}
		if gpu > 0 {
			tolerations = append(tolerations, gpuTaint)
		}
		if spot {
			tolerations = append(tolerations, spotMark)
		}
		return fields{"name": name, "cpu": cpu, "memory": memory, "gpu": gpu, "tolerations": tolerations}
	}
	for _, s := range p.services {
		pods = append(pods, one(s.name, s.cpu, s.memory, s.gpu, s.spot))
	}
	for _, b := range p.batches {
		pods = append(pods, one(b.name, b.cpu, b.memory, b.gpu, b.spot))
	}
	for _, d := range p.daemons {
		made := one(d.name, d.cpu, d.memory, 0, true)
		made["tolerations"] = []string{gpuTaint, spotMark}
		daemons = append(daemons, made)
	}
	file["groups"], file["pods"], file["daemonSets"] = groups, pods, daemons
	text, err := json.Marshal(file)
	if err != nil {
		return nil, err
	}
	return mix.Parse(text)
}

// kept reports whether the pods of the workload ask not to be evicted.
func (p plan) kept(workload string) bool {
	return slices.ContainsFunc(p.batches, func(b batch) bool { return b.name == workload && b.kept })
}
