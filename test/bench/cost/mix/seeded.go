package mix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Seeded are the mixes of the bench. Ten have pods that ask for resources alone, smallest first. Six have pods whose nodes
// also have DaemonSets, or that are spread, attach volumes, claim devices, take ports of their nodes, or keep off each other. Every choice in them is drawn from a seed, so
// they are the same each time. Prices are the list prices of us-east-1. A spot node costs between 0.30 and 0.55 of the list
// price, by family.
func Seeded() ([]*Mix, error) {
	var list []*Mix
	for i, plan := range seeded {
		m, err := plan.mix(uint64(i + 1))
		if err != nil {
			return nil, fmt.Errorf("mix %q: %w", plan.name, err)
		}
		list = append(list, m)
	}
	return list, nil
}

type seededPlan struct {
	name, about string
	types       string // instance types, separated by spaces, "family:size,size" for several
	spot        bool   // each type as a spot group, too
	zones       int    // groups of one type, a zone each
	parts       []part
	daemons     []part // DaemonSets, one pod a node
}

// part is a set of workloads whose pods are drawn from the same shapes.
type part struct {
	name            string
	pods, workloads int
	cpu             string // amounts to draw from, separated by spaces
	memory          string // of each CPU amount, as multiples in GiB per CPU
	gpu             string // amounts to draw from, empty for none
	spot            bool   // tolerates spot nodes
	arch            string // selects it, empty for either
	apart           bool   // no two of a workload on a node
	exclusive       string // words to draw from: a node takes one pod of all workloads with the same, empty for none
	hostPorts       string // ports of the node to draw from, one for each workload, empty for none
	spread          string // "node" and "zone" to draw from, over which a workload is spread evenly, empty for none
	devices         string // GPUs to claim, to draw from, empty for none
	volumes         int    // EBS volumes of each pod
}

var seeded = []seededPlan{
	{name: "web-small", about: "a few services, on-demand",
		types: "m5:large,xlarge,2xlarge c5:large,xlarge,2xlarge r5:large,xlarge,2xlarge m6i:large,2xlarge", zones: 1,
		parts: []part{{name: "web", pods: 50, workloads: 8, cpu: "100m 250m 500m 750m 1", memory: "1 2 4"}}},
	{name: "gpu-training", about: "jobs of 1 to 8 GPUs, spot and on-demand",
		types: "g4dn:xlarge,12xlarge g5:xlarge,2xlarge,12xlarge,48xlarge g6:xlarge,12xlarge,48xlarge p3:2xlarge,8xlarge,16xlarge", spot: true, zones: 1,
		parts: []part{{name: "train", pods: 60, workloads: 6, cpu: "3 7 10 20", memory: "3 4", gpu: "1 1 2 4", spot: true},
			{name: "tune", pods: 40, workloads: 4, cpu: "2 3", memory: "3 4", gpu: "1"}}},
	{name: "gpu-inference", about: "one GPU a pod, from light to hungry",
		types: "g4dn:xlarge,2xlarge,4xlarge,8xlarge,12xlarge g5:xlarge,2xlarge,4xlarge,8xlarge,12xlarge g6:xlarge,2xlarge,4xlarge,8xlarge,12xlarge m5:xlarge,2xlarge", spot: true, zones: 1,
		parts: []part{{name: "infer", pods: 150, workloads: 8, cpu: "1 2 3 3 6", memory: "2 3 4", gpu: "1"},
			{name: "front", pods: 50, workloads: 3, cpu: "500m 1", memory: "1 2", spot: true}}},
	{name: "memory-heavy", about: "caches and in-memory stores",
		types: "r5:large,xlarge,2xlarge,4xlarge,8xlarge r6i:large,xlarge,2xlarge,4xlarge r6g:large,xlarge,2xlarge,4xlarge m6i:xlarge,2xlarge,4xlarge x2gd:xlarge,2xlarge", zones: 1,
		parts: []part{{name: "cache", pods: 240, workloads: 8, cpu: "250m 500m 1 2", memory: "6 8 12", apart: false},
			{name: "store", pods: 60, workloads: 4, cpu: "1 2 3", memory: "7 10 14"}}},
	{name: "web", about: "services that take either architecture, on-demand, in two zones",
		types: "m5:large,xlarge,2xlarge c5:xlarge,2xlarge m6g:large,xlarge,2xlarge c6g:large,xlarge,2xlarge r6g:large,xlarge", zones: 2,
		parts: []part{{name: "web", pods: 400, workloads: 14, cpu: "100m 200m 250m 500m 1 1500m", memory: "1 2 3 4"},
			{name: "edge", pods: 30, workloads: 3, cpu: "500m 1", memory: "1 2", apart: true}}},
	{name: "two-architectures", about: "a part built for arm64 alone, a part for amd64 alone",
		types: "m6g:large,xlarge,2xlarge,4xlarge c6g:large,xlarge,2xlarge,4xlarge r6g:xlarge,2xlarge m6i:large,xlarge,2xlarge,4xlarge c6i:large,xlarge,2xlarge,4xlarge r6i:xlarge,2xlarge", spot: true, zones: 1,
		parts: []part{{name: "arm", pods: 250, workloads: 8, cpu: "250m 500m 1 2", memory: "1 2 4", arch: "arm64"},
			{name: "x86", pods: 250, workloads: 8, cpu: "250m 500m 1 2 3", memory: "1 2 6", arch: "amd64"},
			{name: "any", pods: 200, workloads: 6, cpu: "500m 1", memory: "2 4", spot: true}}},
	{name: "mixed", about: "services, batch, caches and GPUs beside each other",
		types: "m5:large,xlarge,2xlarge c5:large,xlarge,2xlarge r5:large,xlarge,2xlarge m6g:large,xlarge,2xlarge g4dn:xlarge,2xlarge,12xlarge g5:xlarge,2xlarge,12xlarge c6g:xlarge,2xlarge", spot: true, zones: 1,
		parts: []part{{name: "web", pods: 300, workloads: 8, cpu: "250m 500m 1", memory: "1 2 4"},
			{name: "batch", pods: 300, workloads: 5, cpu: "1 2 3", memory: "1 2", spot: true},
			{name: "cache", pods: 80, workloads: 3, cpu: "500m 1", memory: "7 10"},
			{name: "infer", pods: 60, workloads: 4, cpu: "1 2 3", memory: "2 4", gpu: "1"}}},
	{name: "batch", about: "jobs that take spot nodes",
		types: "c5:large,xlarge,2xlarge,4xlarge,9xlarge m5:xlarge,2xlarge,4xlarge,8xlarge c6g:xlarge,2xlarge,4xlarge c6i:xlarge,2xlarge,4xlarge", spot: true, zones: 1,
		parts: []part{{name: "batch", pods: 1000, workloads: 12, cpu: "500m 1 2 3 4 7", memory: "1 2 3", spot: true}}},
	{name: "mixed-large", about: "all of it, 60 groups",
		types: "m5:large,xlarge,2xlarge,4xlarge c5:large,xlarge,2xlarge,4xlarge r5:large,xlarge,2xlarge,4xlarge m6g:xlarge,2xlarge,4xlarge c6g:xlarge,2xlarge,4xlarge r6g:xlarge,2xlarge g4dn:xlarge,2xlarge,4xlarge,12xlarge g5:xlarge,2xlarge,12xlarge g6:xlarge,2xlarge,12xlarge", spot: true, zones: 1,
		parts: []part{{name: "web", pods: 900, workloads: 10, cpu: "250m 500m 1 2", memory: "1 2 4"},
			{name: "batch", pods: 700, workloads: 6, cpu: "1 2 4", memory: "1 2 3", spot: true},
			{name: "cache", pods: 200, workloads: 4, cpu: "500m 1 2", memory: "7 10"},
			{name: "infer", pods: 160, workloads: 5, cpu: "1 2 3", memory: "2 4", gpu: "1"},
			{name: "train", pods: 40, workloads: 3, cpu: "4 8 16", memory: "3 4", gpu: "1 2 4", spot: true}}},
	{name: "burst", about: "five thousand small pods at once",
		types: "m5:xlarge,2xlarge,4xlarge c5:2xlarge,4xlarge m6g:xlarge,2xlarge,4xlarge c6g:2xlarge,4xlarge r6g:2xlarge,4xlarge", zones: 1,
		parts: []part{{name: "burst", pods: 5000, workloads: 20, cpu: "100m 200m 250m 300m 500m", memory: "1 2 3 4"}}},
	{name: "daemonsets", about: "services beside DaemonSets that take more of a small node than of a large one",
		types: "m5:large,xlarge,2xlarge,4xlarge c5:large,xlarge,2xlarge,4xlarge r5:large,xlarge,2xlarge", zones: 1,
		parts: []part{{name: "web", pods: 300, workloads: 10, cpu: "250m 500m 1 1500m", memory: "1 2 4"}},
		daemons: []part{{name: "agent", pods: 1, workloads: 1, cpu: "200m", memory: "2"}, {name: "logs", pods: 1, workloads: 1, cpu: "250m", memory: "1"},
			{name: "mesh", pods: 1, workloads: 1, cpu: "150m", memory: "2"}}},
	{name: "spread", about: "services spread over nodes or zones, and some that are not, in three zones",
		types: "m5:large,xlarge,2xlarge c5:xlarge,2xlarge r5:large,xlarge", zones: 3,
		parts: []part{{name: "spread", pods: 120, workloads: 10, cpu: "250m 500m 1", memory: "1 2 4", spread: "node zone"},
			{name: "web", pods: 120, workloads: 6, cpu: "250m 500m 1", memory: "1 2 4"}}},
	{name: "volumes", about: "many light stateful pods with volumes of their own, and services",
		types: "m5:large,xlarge,2xlarge,4xlarge c5:xlarge,2xlarge r5:large,xlarge,2xlarge,4xlarge", zones: 1,
		parts: []part{{name: "store", pods: 160, workloads: 6, cpu: "50m 100m", memory: "2 4", volumes: 2},
			{name: "disk", pods: 100, workloads: 4, cpu: "100m 250m", memory: "2 4 8", volumes: 1},
			{name: "web", pods: 100, workloads: 5, cpu: "250m 500m 1", memory: "1 2 4"}}},
	{name: "claims", about: "GPUs claimed by dynamic resource allocation, one to four a pod, and services",
		types: "g4dn:xlarge,2xlarge,12xlarge g5:xlarge,2xlarge,12xlarge,48xlarge g6:xlarge,12xlarge,48xlarge p3:2xlarge,8xlarge m5:xlarge,2xlarge", spot: true, zones: 1,
		parts: []part{{name: "infer", pods: 60, workloads: 6, cpu: "500m 1 2", memory: "2 4", devices: "1", spot: true},
			{name: "tune", pods: 20, workloads: 3, cpu: "2 3", memory: "2 4", devices: "2 4"},
			{name: "front", pods: 60, workloads: 3, cpu: "500m 1", memory: "1 2"}}},
	{name: "host-ports", about: "proxies that take ports of their nodes, several on one port, and services",
		types: "m5:large,xlarge,2xlarge,4xlarge c5:large,xlarge,2xlarge,4xlarge r5:large,xlarge,2xlarge", zones: 1,
		parts: []part{{name: "proxy", pods: 80, workloads: 6, cpu: "100m 250m 500m", memory: "1 2", hostPorts: "8080 8443 9000"},
			{name: "web", pods: 200, workloads: 8, cpu: "250m 500m 1 1500m", memory: "1 2 4"}},
		daemons: []part{{name: "agent", pods: 1, workloads: 1, cpu: "100m", memory: "2", hostPorts: "9100"}}},
	{name: "anti-affinity", about: "workloads that keep off their own pods or off each other, and services",
		types: "m5:large,xlarge,2xlarge,4xlarge c5:large,xlarge,2xlarge,4xlarge r5:large,xlarge,2xlarge", zones: 1,
		parts: []part{{name: "quorum", pods: 40, workloads: 6, cpu: "250m 500m 1", memory: "2 4", apart: true},
			{name: "noisy", pods: 40, workloads: 5, cpu: "500m 1", memory: "1 2", exclusive: "disk network"},
			{name: "web", pods: 200, workloads: 8, cpu: "250m 500m 1 1500m", memory: "1 2 4"}}},
}

// GPU nodes and spot nodes keep others away.
const (
	gpuTaint  = "nvidia.com/gpu"
	spotTaint = "lifecycle"
)

func (p seededPlan) mix(seed uint64) (*Mix, error) {
	random := rand.New(rand.NewPCG(seed, 2026))
	f := file{Name: p.name, About: p.about}
	for _, entry := range strings.Fields(p.types) {
		family, sizes, _ := strings.Cut(entry, ":")
		ratio := 0.3 + 0.25*random.Float64()
		for _, size := range strings.Split(sizes, ",") {
			for zone := range p.zones {
				f.Groups = append(f.Groups, p.groups(family+"."+size, zone, ratio)...)
			}
		}
	}
	for _, part := range p.parts {
		f.Pods = append(f.Pods, part.draw(random)...)
	}
	for _, part := range p.daemons {
		f.DaemonSets = append(f.DaemonSets, part.draw(random)...)
	}
	return f.mix()
}

// groups are the groups of an instance type in one zone: on-demand and, if the plan says so, spot.
func (p seededPlan) groups(instanceType string, zone int, ratio float64) []fileGroup {
	letter := string(rune('a' + zone))
	g := fileGroup{Name: instanceType, Type: instanceType, Zone: defaultRegion + letter}
	if p.zones > 1 {
		g.Name += "-" + letter
	}
	if t, ok := instancetypes.Embedded().Lookup(instanceType); ok && t.GPU.Count > 0 {
		g.Taints = append(g.Taints, gpuTaint+":NoSchedule")
	}
	if !p.spot {
		return []fileGroup{g}
	}
	price, _ := pricing.Embedded(defaultRegion).Lookup(instanceType)
	other := g
	other.Name, other.CapacityType, other.Price = g.Name+"-spot", spot, new(price.Amount.PerHour*ratio)
	other.Taints = append(slices.Clone(g.Taints), spotTaint+"=spot:NoSchedule")
	return []fileGroup{g, other}
}

// draw makes the workloads of a part, and shares its pods unevenly among them.
func (p part) draw(random *rand.Rand) []filePods {
	weights, total := make([]float64, p.workloads), 0.0
	for i := range weights {
		weights[i] = 0.3 + random.Float64()
		total += weights[i]
	}
	var list []filePods
	left := p.pods
	for i, weight := range weights {
		w := filePods{Name: fmt.Sprintf("%s-%d", p.name, i+1), OnePerNode: p.apart, Volumes: p.volumes}
		count := int(float64(p.pods)*weight/total + 0.5)
		if i == p.workloads-1 {
			count = left
		}
		w.Count, left = &count, left-count
		w.CPU = amount(oneOf(random, p.cpu))
		gib, _ := strconv.ParseFloat(oneOf(random, p.memory), 64)
		w.Memory = amount(fmt.Sprintf("%dMi", int64(float64(w.CPU.MilliValue())*gib*1.024+0.5)))
		if p.gpu != "" {
			w.GPU = amount(oneOf(random, p.gpu))
		}
		if p.devices != "" {
			w.Claims, _ = strconv.Atoi(oneOf(random, p.devices))
		}
		if p.gpu != "" || p.devices != "" {
			w.Tolerations = append(w.Tolerations, gpuTaint)
		}
		if p.exclusive != "" {
			w.Exclusive = oneOf(random, p.exclusive)
		}
		if p.hostPorts != "" {
			w.HostPort, _ = strconv.Atoi(oneOf(random, p.hostPorts))
		}
		if p.spread != "" {
			w.Spread = oneOf(random, p.spread)
		}
		if p.spot {
			w.Tolerations = append(w.Tolerations, spotTaint)
		}
		if p.arch != "" {
			w.NodeSelector = map[string]string{corev1.LabelArchStable: p.arch}
		}
		list = append(list, w)
	}
	return list
}

func amount(text string) *quantity { return &quantity{resource.MustParse(text)} }

func oneOf(random *rand.Rand, list string) string {
	fields := strings.Fields(list)
	return fields[random.IntN(len(fields))]
}
