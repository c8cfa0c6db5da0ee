package chaos

import (
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	zoneA = "cn-northwest-1a"
	zoneB = "cn-northwest-1b"

	poolLabel   = "example.com/pool"
	enabledTag  = "k8s.io/cluster-autoscaler/enabled"
	templateTag = "k8s.io/cluster-autoscaler/node-template/"
	poolTag     = templateTag + "label/" + poolLabel
)

func account(p Plan) fakeaws.Config {
	groups := plainGroups()
	if p.Zonal {
		groups = zonalGroups()
	}
	if p.Traits.Divided {
		groups = append(groups, dividedGPUs())
	}
	p.Traits.shape(groups)
	if p.Traits.Hurried && !p.Zonal {
		makeRoom(groups)
	}
	web := fakeaws.LaunchTemplateVersion{ImageID: "ami-00000000000000001", InstanceType: "m5.large"}
	if p.Traits.StartupTaints {
		web.UserData = startupData
	}
	delays := p.Delays
	if p.Traits.Unlisted {
		delays.Unlisted = unlisted
	}
	config := fakeaws.Config{
		Region: "cn-northwest-1",
		Seed:   p.Seed,
		Delays: delays,
		Strict: p.Traits.Strict,
		Images: []fakeaws.Image{{ID: "ami-00000000000000001"}, {ID: "ami-00000000000000002"}}, // requirements need the architecture
		LaunchTemplates: []fakeaws.LaunchTemplate{
			{Name: "web", Versions: []fakeaws.LaunchTemplateVersion{web}},
			{Name: "gpu", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-00000000000000002", InstanceType: "g4dn.xlarge"}}},
			{Name: partPods, Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-00000000000000002", InstanceType: "g4dn.xlarge"}}},
		},
		AutoScalingGroups: groups,
		Queues:            p.Traits.queues(),
	}
	p.Moving.shape(&config)
	return config
}

// makeRoom makes room for the crowd of a hurried plan, whatever is out of capacity.
func makeRoom(groups []fakeaws.AutoScalingGroup) {
	for n := range groups {
		if groups[n].Name != dividedGroup {
			groups[n].Max *= 3
		}
	}
}

func spotAlone() fakeaws.Distribution {
	none := 0
	return fakeaws.Distribution{OnDemandPercentageAboveBaseCapacity: &none, SpotAllocationStrategy: "capacity-optimized"}
}

// plainGroups are the groups of plans that are not zonal. Each workload has at least two of them.
func plainGroups() []fakeaws.AutoScalingGroup {
	spot := spotAlone()
	return []fakeaws.AutoScalingGroup{
		group("web-a", "web", fakeaws.AutoScalingGroup{
			Min: 1, Max: 8, Desired: 1, Zones: []string{zoneA}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "web"},
		}),
		group("web-b", "web", fakeaws.AutoScalingGroup{
			Max: 8, Zones: []string{zoneB}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "web"},
		}),
		group("web-spot", "web", fakeaws.AutoScalingGroup{
			Max: 8, Zones: []string{zoneA, zoneB}, MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{
				LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "web"}, Distribution: spot,
				Overrides: []fakeaws.Override{{InstanceType: "m5.large"}, {InstanceType: "m5a.large"}, {InstanceType: "m4.large"}},
			},
		}),
		group("gpu-spot", "gpu", fakeaws.AutoScalingGroup{
			Max: 4, Zones: []string{zoneA}, MixedInstancesPolicy: &fakeaws.MixedInstancesPolicy{
				LaunchTemplate: fakeaws.LaunchTemplateRef{Name: "gpu"}, Distribution: spot,
				Overrides: []fakeaws.Override{{InstanceType: "g4dn.xlarge"}, {InstanceType: "g4dn.2xlarge"}},
			},
		}),
		group("gpu-od", "gpu", fakeaws.AutoScalingGroup{
			Max: 4, Zones: []string{zoneB}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "gpu"},
		}),
	}
}

// unlisted is longer than the time between two readings of most plans.
const unlisted = fakeaws.Duration(1500 * time.Millisecond)

// dividedGPUs is a group whose nodes show parts of a GPU and no whole one. No tag names the parts, so only its node does.
func dividedGPUs() fakeaws.AutoScalingGroup {
	g := group(dividedGroup, partPods, fakeaws.AutoScalingGroup{
		Min: 1, Max: 3, Desired: 1, Zones: []string{zoneA}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: partPods},
	})
	g.MIG = &fakeaws.MIG{Strategy: "mixed", Devices: map[string]int{"1g.10gb": parts}}
	return g
}

const (
	dividedGroup = "gpu-parts"
	parts        = 7 // of a GPU
	part         = "nvidia.com/mig-1g.10gb"
)

// group completes a group by the fields that all of them share.
func group(name, pool string, g fakeaws.AutoScalingGroup) fakeaws.AutoScalingGroup {
	g.Name = name
	g.Tags = map[string]string{enabledTag: "true", "k8s.io/cluster-autoscaler/eksworkshop": "owned", poolTag: pool}
	g.NodeLabels = map[string]string{poolLabel: pool}
	return g
}

// byName are the groups of the account as they are at the start.
func byName(config fakeaws.Config) map[string]fakeaws.AutoScalingGroup {
	named := map[string]fakeaws.AutoScalingGroup{}
	for _, g := range config.AutoScalingGroups {
		named[g.Name] = g
	}
	return named
}

// manifest is the shipped Deployment whose flags the autoscaler runs with.
const manifest = "s0-gpu-spot-china"

// provisionTime is how long the autoscaler waits for an instance to join.
const provisionTime = 12 * time.Second

// flags speed up everything that takes minutes in a real cluster.
func flags(p Plan) []string {
	all := []string{
		"--asg-launch-mode=" + p.Mode,
		"--scan-interval=1s",
		"--scale-down-unneeded-time=2s",
		"--scale-down-unready-time=4s",
		"--scale-down-delay-after-add=2s",
		"--scale-down-delay-after-failure=2s",
		"--unremovable-node-recheck-timeout=2s",
		"--node-delete-delay-after-taint=1s",
		"--max-node-provision-time=" + provisionTime.String(),
		"--initial-node-group-backoff-duration=1s",
		"--max-node-group-backoff-duration=3s",
	}
	if p.Day == 0 { // a soak's one process keeps its lease
		all = append(all, "--leader-elect-lease-duration=5s", "--leader-elect-renew-deadline=4s", "--leader-elect-retry-period=500ms")
	}
	all = append(all, "--kube-client-qps=100", "--kube-client-burst=200")
	if !p.Traits.UsualRefresh {
		all = append(all, "--asg-refresh-interval=1s", "--asg-motion-interval=1s")
	}
	if p.Traits.Hurried {
		all = append(all, "--expander=least-cost", "--asg-least-cost-plan-limit=1ms", "--max-nodegroup-binpacking-duration=5ms", "--max-binpacking-time=20ms")
	}
	if p.Traits.Queue {
		all = append(all, "--asg-interruption-queue="+queueName)
	}
	if p.Traits.DrainAtRisk {
		all = append(all, "--asg-rebalance=drain")
	}
	if p.Zonal {
		all = append(all, "--asg-zonal-groups=all")
	}
	return append(all, p.Moving.flags()...)
}
