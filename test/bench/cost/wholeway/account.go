package wholeway

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// Times of a node. The first and the last are shorter than on AWS, which makes the runs short. EKS nodes are Ready 4 s to 8 s after they register,
// each at its own time (README of awslabs/node-latency-for-k8s: 22 s and 26 s, 20 s and 24 s after the launch).
const (
	registerAfter = 3 * time.Second // from the launch
	readyAfter    = 4 * time.Second // from the registration
	readyJitter   = 4 * time.Second // each node up to this much later
	gpuAfter      = time.Second     // from Ready until the device plugin publishes
)

const templatePrefix = "k8s.io/cluster-autoscaler/node-template/"

// Account is an account with the groups of the mix, at zero.
func Account(m *mix.Mix) fakeaws.Config {
	config := fakeaws.Config{Region: m.Region}
	for _, g := range m.Groups {
		config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{
			Name: g.Name, Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: g.InstanceType}},
		})
		config.AutoScalingGroups = append(config.AutoScalingGroups, group(m, g))
	}
	return config
}

func group(m *mix.Mix, g mix.Group) fakeaws.AutoScalingGroup {
	made := fakeaws.AutoScalingGroup{
		Name: g.Name, Max: g.Max, Zones: []string{g.Node.Labels[corev1.LabelTopologyZone]},
		Tags: harness.Tags(nil),
		NodeConfig: fakeaws.NodeConfig{
			NodeLabels: g.Labels, RegisterAfter: fakeaws.Duration(registerAfter), ReadyAfter: fakeaws.Duration(readyAfter),
			ReadyJitter:   fakeaws.Duration(readyJitter),
			GPUAfterReady: fakeaws.Duration(gpuAfter),
		},
	}
	if anyPod(m, claims) {
		made.GPUAfterReady = fakeaws.Never // the driver for claims has them
	}
	if anyPod(m, hasVolumes) {
		made.VolumeLimit = mix.Attachable
	}
	for key, value := range g.Labels {
		made.Tags[templatePrefix+"label/"+key] = value
	}
	for _, taint := range g.Node.Spec.Taints {
		made.Tags[templatePrefix+"taint/"+taint.Key] = taint.Value + ":" + string(taint.Effect)
		made.NodeTaints = append(made.NodeTaints, fmt.Sprintf("%s=%s:%s", taint.Key, taint.Value, taint.Effect))
	}
	if template := (fakeaws.LaunchTemplateRef{Name: g.Name}); g.Spot {
		made.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{
			LaunchTemplate: template, Overrides: []fakeaws.Override{{InstanceType: g.InstanceType}},
			Distribution: fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: new(0)},
		}
	} else {
		made.LaunchTemplate = &template
	}
	return made
}

func anyPod(m *mix.Mix, so func(*corev1.Pod) bool) bool { return slices.ContainsFunc(m.Pods, so) }

func claims(pod *corev1.Pod) bool { return mix.Devices(pod) > 0 }

func hasVolumes(pod *corev1.Pod) bool { return len(pod.Spec.Volumes) > 0 }

// PriceFile is the price list of the mix, in the form of --asg-price-file. It fails if two groups of one type and capacity type
// have different prices, which the form cannot say.
func PriceFile(m *mix.Mix) (string, error) {
	prices := map[string]string{}
	for _, g := range m.Groups {
		capacityType := ""
		if g.Spot {
			capacityType = "spot"
		}
		key := g.InstanceType + "," + capacityType
		price := strconv.FormatFloat(g.PerHour, 'f', -1, 64)
		if other, ok := prices[key]; ok && other != price {
			return "", fmt.Errorf("group %q: %s costs %s here and %s in another group", g.Name, g.InstanceType, price, other)
		}
		prices[key] = price
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# region: %s\n# currency: %s\n# date: 2026-11-01\n# source: the mix\ninstance_type,price_per_hour,capacity_type,zone\n",
		m.Region, pricing.Embedded(m.Region).Currency())
	for _, key := range slices.Sorted(maps.Keys(prices)) {
		instanceType, capacityType, _ := strings.Cut(key, ",")
		fmt.Fprintf(&text, "%s,%s,%s,\n", instanceType, prices[key], capacityType)
	}
	return text.String(), nil
}

// Registered is the mix with the nodes that the account's instances register as.
func Registered(m *mix.Mix, server *fakeaws.Server) (*mix.Mix, error) {
	real := m.Copy()
	for i := range real.Groups {
		node, err := server.NextNode(real.Groups[i].Name)
		if err != nil {
			return nil, err
		}
		real.Groups[i].Node = node
	}
	return real, nil
}
