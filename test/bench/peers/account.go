package peers

import (
	"fmt"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	region      = "us-east-1"
	zone        = region + "a"
	groupLabel  = "group"
	gpuResource = "nvidia.com/gpu"

	callTime   = 50 * time.Millisecond  // of every call to AWS
	launchTime = 500 * time.Millisecond // of LaunchInstances, on top
	bootTime   = 3 * time.Second        // from the launch until the node registers

	// system is a group that no peer may touch, with one node for no pod of a case.
	system = "system"
)

// A group is an Auto Scaling group of one instance type in one zone. Its nodes carry its name as a label.
type group struct {
	name, instanceType string
	nodes              int // at the start
}

// of makes so many groups of a type, without nodes.
func of(count int, instanceType string) []group {
	groups := make([]group, count)
	for n := range groups {
		groups[n] = group{name: fmt.Sprintf("group-%04d", n+1), instanceType: instanceType}
	}
	return groups
}

// spread makes groups of at most a hundred nodes, with so many nodes in all.
func spread(nodes int, instanceType string) []group {
	groups := of((nodes+99)/100, instanceType)
	for n := range groups {
		groups[n].nodes = min(100, nodes-100*n)
	}
	return groups
}

func account(groups []group) fakeaws.Config {
	config := fakeaws.Config{
		Region: region, Latency: fakeaws.Duration(callTime),
		Delays: fakeaws.Delays{
			Synchronous: fakeaws.Duration(launchTime), Register: fakeaws.Duration(bootTime), GPU: fakeaws.Duration(time.Millisecond),
		},
	}
	add := func(g group, tags map[string]string, made fakeaws.AutoScalingGroup) {
		// Each group has a launch template of its own, as groups usually do.
		config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{
			Name: g.name, Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: g.instanceType}},
		})
		made.Name, made.Desired, made.Zones, made.Tags = g.name, g.nodes, []string{zone}, tags
		made.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: g.name}
		config.AutoScalingGroups = append(config.AutoScalingGroups, made)
	}
	add(group{system, "m5.large", 1}, nil, fakeaws.AutoScalingGroup{Min: 1, Max: 1,
		NodeConfig: fakeaws.NodeConfig{NodeTaints: []string{"CriticalAddonsOnly=true:NoSchedule"}}})
	for _, g := range groups {
		add(g, harness.Tags(map[string]string{"k8s.io/cluster-autoscaler/node-template/label/" + groupLabel: g.name}), fakeaws.AutoScalingGroup{Max: 1000, NodeConfig: fakeaws.NodeConfig{NodeLabels: map[string]string{groupLabel: g.name}}})
	}
	return config
}
