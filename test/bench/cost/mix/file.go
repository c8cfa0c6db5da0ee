package mix

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// defaultRegion is the Region of a mix that states none.
const defaultRegion = "us-east-1"

// file is the form of a mix in a file. README.md describes it.
type file struct {
	Name       string             `json:"name"`
	About      string             `json:"about"`
	Region     string             `json:"region"`
	Currency   string             `json:"currency"`
	SpotRatio  *float64           `json:"spotRatio"`
	Prices     map[string]float64 `json:"prices"`
	Types      []string           `json:"types"`
	Groups     []fileGroup        `json:"groups"`
	Pods       []filePods         `json:"pods"`
	DaemonSets []filePods         `json:"daemonSets"`
}

type fileGroup struct {
	Name         string            `json:"name"`
	Type         string            `json:"type"`
	CapacityType string            `json:"capacityType"`
	Price        *float64          `json:"price"`
	Max          *int              `json:"max"`
	Zone         string            `json:"zone"`
	Labels       map[string]string `json:"labels"`
	Taints       []string          `json:"taints"`
}

type filePods struct {
	Name         string            `json:"name"`
	Count        *int              `json:"count"`
	CPU          *quantity         `json:"cpu"`
	Memory       *quantity         `json:"memory"`
	GPU          *quantity         `json:"gpu"`
	Resources    map[string]any    `json:"resources"`
	NodeSelector map[string]string `json:"nodeSelector"`
	Tolerations  []string          `json:"tolerations"`
	OnePerNode   bool              `json:"onePerNode"`
	Exclusive    string            `json:"exclusive"`
	HostPort     int               `json:"hostPort"`
	Spread       string            `json:"spread"`
	Claims       int               `json:"claims"`
	Volumes      int               `json:"volumes"`
}

// quantity is an amount as Kubernetes writes it, a string or a number.
type quantity struct{ resource.Quantity }

func (q *quantity) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	parsed, err := resource.ParseQuantity(text)
	if err != nil || parsed.Sign() < 0 {
		return fmt.Errorf("%.40q is not an amount such as 500m, 2 or 4Gi", text)
	}
	q.Quantity = parsed
	return nil
}

// Read reads a mix from a YAML or JSON file.
func Read(path string) (*Mix, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.Name = cmp.Or(m.Name, path)
	return m, nil
}

// Parse parses the text of a mix file.
func Parse(text []byte) (*Mix, error) {
	var f file
	if err := yaml.UnmarshalStrict(text, &f); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "error unmarshaling JSON: while decoding JSON: ", ""))
	}
	return f.mix()
}

// mix makes the mix that the file describes.
func (f *file) mix() (_ *Mix, err error) {
	s := f.source()
	m := &Mix{Name: f.Name, About: f.About, Region: s.region, Currency: cmp.Or(f.Currency, string(s.list.Currency()), "USD")}
	if m.Groups, err = f.groups(s); err != nil {
		return nil, err
	}
	if m.Pods, err = podsOf(f.Pods, "pods"); err != nil {
		return nil, err
	}
	if m.DaemonSets, err = podsOf(f.DaemonSets, "daemonSets"); err != nil {
		return nil, err
	}
	m.shareDevices()
	return m, m.check()
}

// source is the catalogue and the price list, with the file's own prices over them.
func (f *file) source() *source {
	region := cmp.Or(f.Region, defaultRegion)
	s := &source{region: region, list: pricing.Embedded(region), prices: f.Prices, spotRatio: pricing.DefaultSpotRatio}
	if f.SpotRatio != nil {
		s.spotRatio = *f.SpotRatio
	}
	return s
}

// resources joins the amounts of a pod.
func resources(cpu, memory, gpu *quantity, others map[string]any) (corev1.ResourceList, error) {
	list := corev1.ResourceList{}
	for name, q := range map[corev1.ResourceName]*quantity{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory, "nvidia.com/gpu": gpu} {
		if q != nil && q.Sign() > 0 {
			list[name] = q.Quantity
		}
	}
	if bytes, stated := list[corev1.ResourceMemory]; stated && bytes.Value() < 1<<20 {
		return nil, fmt.Errorf("memory %s is in bytes: write a unit, such as %[1]sGi", bytes.String())
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		var q quantity
		if err := q.UnmarshalJSON([]byte(fmt.Sprint(others[name]))); err != nil {
			return nil, fmt.Errorf("resources: %q: %w", name, err)
		}
		list[corev1.ResourceName(name)] = q.Quantity
	}
	return list, nil
}

// groups makes the groups listed, or else one of each type.
func (f *file) groups(s *source) ([]Group, error) {
	specs := f.Groups
	if len(specs) == 0 {
		for _, t := range f.Types {
			specs = append(specs, fileGroup{Type: t})
		}
	}
	var list []Group
	for i, spec := range specs {
		g, err := s.group(spec)
		if err != nil {
			return nil, fmt.Errorf("groups, item %d: %w", i+1, err)
		}
		list = append(list, g)
	}
	return list, nil
}
