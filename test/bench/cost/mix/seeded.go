package mix

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Seeded are the mixes of the bench. Ten have pods that ask for resources alone, smallest first. Six have pods whose nodes
// also have DaemonSets, or that are spread, attach volumes, claim devices, take ports of their nodes, or keep off each other. Every choice in them is drawn from a seed, so
// they are the same each time. Prices are the list prices of us-east-1. A spot node costs between 0.30 and 0.55 of the list
// price, by family.
func Seeded() ([]*Mix, error) {
	var plans []seededPlan
	if err := yaml.UnmarshalStrict(seeded, &plans); err != nil {
		return nil, fmt.Errorf("seeded.yaml: %w", err)
	}
	var list []*Mix
	for i, plan := range plans {
		m, err := plan.mix(uint64(i + 1))
		if err != nil {
			return nil, fmt.Errorf("mix %q: %w", plan.Name, err)
		}
		list = append(list, m)
	}
	return list, nil
}

type seededPlan struct {
	Name, About string
	Types       string // instance types, separated by spaces, "family:size,size" for several
	Spot        bool   // each type as a spot group, too
	Zones       int    // groups of one type, a zone each
	Parts       []part
	Daemons     []part // DaemonSets, one pod a node
}

// part is a set of workloads whose pods are drawn from the same shapes.
type part struct {
	Name            string
	Pods, Workloads int
	CPU             string // amounts to draw from, separated by spaces
	Memory          string // of each CPU amount, as multiples in GiB per CPU
	GPU             string // amounts to draw from, empty for none
	Spot            bool   // tolerates spot nodes
	Arch            string // selects it, empty for either
	Apart           bool   // no two of a workload on a node
	Exclusive       string // words to draw from: a node takes one pod of all workloads with the same, empty for none
	HostPorts       string // ports of the node to draw from, one for each workload, empty for none
	Spread          string // "node" and "zone" to draw from, over which a workload is spread evenly, empty for none
	Devices         string // GPUs to claim, to draw from, empty for none
	Volumes         int    // EBS volumes of each pod
}

//go:embed seeded.yaml
var seeded []byte

// GPU nodes and spot nodes keep others away.
const (
	gpuTaint  = "nvidia.com/gpu"
	spotTaint = "lifecycle"
)

func (p seededPlan) mix(seed uint64) (*Mix, error) {
	random := rand.New(rand.NewPCG(seed, 2026))
	f := file{Name: p.Name, About: p.About}
	for _, entry := range strings.Fields(p.Types) {
		family, sizes, _ := strings.Cut(entry, ":")
		ratio := 0.3 + 0.25*random.Float64()
		for _, size := range strings.Split(sizes, ",") {
			for zone := range p.Zones {
				f.Groups = append(f.Groups, p.groups(family+"."+size, zone, ratio)...)
			}
		}
	}
	for _, part := range p.Parts {
		f.Pods = append(f.Pods, part.draw(random)...)
	}
	for _, part := range p.Daemons {
		f.DaemonSets = append(f.DaemonSets, part.draw(random)...)
	}
	return f.mix()
}

// groups are the groups of an instance type in one zone: on-demand and, if the plan says so, spot.
func (p seededPlan) groups(instanceType string, zone int, ratio float64) []fileGroup {
	letter := string(rune('a' + zone))
	g := fileGroup{Name: instanceType, Type: instanceType, Zone: defaultRegion + letter}
	if p.Zones > 1 {
		g.Name += "-" + letter
	}
	if t, ok := instancetypes.Embedded().Lookup(instanceType); ok && t.GPU.Count > 0 {
		g.Taints = append(g.Taints, gpuTaint+":NoSchedule")
	}
	if !p.Spot {
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
	weights, total := make([]float64, p.Workloads), 0.0
	for i := range weights {
		weights[i] = 0.3 + random.Float64()
		total += weights[i]
	}
	var list []filePods
	left := p.Pods
	for i, weight := range weights {
		w := filePods{Name: fmt.Sprintf("%s-%d", p.Name, i+1), OnePerNode: p.Apart, Volumes: p.Volumes}
		count := int(float64(p.Pods)*weight/total + 0.5)
		if i == p.Workloads-1 {
			count = left
		}
		w.Count, left = &count, left-count
		w.CPU = amount(oneOf(random, p.CPU))
		gib, _ := strconv.ParseFloat(oneOf(random, p.Memory), 64)
		w.Memory = amount(fmt.Sprintf("%dMi", int64(float64(w.CPU.MilliValue())*gib*1.024+0.5)))
		if p.GPU != "" {
			w.GPU = amount(oneOf(random, p.GPU))
		}
		if p.Devices != "" {
			w.Claims, _ = strconv.Atoi(oneOf(random, p.Devices))
		}
		if p.GPU != "" || p.Devices != "" {
			w.Tolerations = append(w.Tolerations, gpuTaint)
		}
		if p.Exclusive != "" {
			w.Exclusive = oneOf(random, p.Exclusive)
		}
		if p.HostPorts != "" {
			w.HostPort, _ = strconv.Atoi(oneOf(random, p.HostPorts))
		}
		if p.Spread != "" {
			w.Spread = oneOf(random, p.Spread)
		}
		if p.Spot {
			w.Tolerations = append(w.Tolerations, spotTaint)
		}
		if p.Arch != "" {
			w.NodeSelector = map[string]string{corev1.LabelArchStable: p.Arch}
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
