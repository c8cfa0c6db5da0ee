package doctor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// mix has the group web launch a base of on-demand instances, and this percentage of them above it.
func mix(c *fakeaws.Config, base, percentage int) *fakeaws.AutoScalingGroup {
	web := quoted(c, "web")
	web.MixedInstancesPolicy = &fakeaws.MixedInstancesPolicy{LaunchTemplate: *web.LaunchTemplate,
		Distribution: fakeaws.Distribution{OnDemandBaseCapacity: base, OnDemandPercentageAboveBaseCapacity: &percentage}}
	web.LaunchTemplate = nil
	return web
}

// To restore the share of on-demand nodes AWS terminates a node of its choice (kubernetes/autoscaler#6787).
func TestMixedGroupThatAWSMayTakeNodesFrom(t *testing.T) {
	const problem = `group "web": it mixes on-demand and spot instances: to restore their share after a removal, ` +
		"AWS may launch a node of one kind and terminate one of the other without a drain"
	const named = " --region us-west-2 --auto-scaling-group-name web"
	const protectNew = "aws autoscaling update-auto-scaling-group" + named + " --new-instances-protected-from-scale-in"
	const protect = "aws autoscaling set-instance-protection" + named + " --protected-from-scale-in --instance-ids "
	both := func(ids []string) string { return protectNew + " && " + protect + strings.Join(ids, " ") }
	for _, tt := range []struct {
		name             string
		base, percentage int
		change           func(web *fakeaws.AutoScalingGroup)
		unprotect        bool // one of the instances
		evidence         string
		next             func(ids []string) string
	}{
		{name: "base", base: 1, evidence: "NewInstancesProtectedFromScaleIn is false", next: both},
		{name: "share, with a hook at launch", percentage: 50, change: func(web *fakeaws.AutoScalingGroup) {
			web.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "boot", Transition: "launching"}}
		}, evidence: "NewInstancesProtectedFromScaleIn is false", next: both},
		{name: "one is unprotected", base: 1, unprotect: true, change: func(web *fakeaws.AutoScalingGroup) { web.ProtectNewInstances = true },
			evidence: "has no scale-in protection", next: func(ids []string) string { return protect + ids[0] }},
		{name: "without an instance", base: 1, change: func(web *fakeaws.AutoScalingGroup) { web.Desired = 0 },
			evidence: "NewInstancesProtectedFromScaleIn is false", next: func([]string) string { return protectNew }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, func(c *fakeaws.Config) {
				web := mix(c, tt.base, tt.percentage)
				if tt.change != nil {
					tt.change(web)
				}
			})
			var ids []string
			g, _ := s.aws.Group("web")
			for _, i := range g.Instances {
				ids = append(ids, i.ID)
			}
			slices.Sort(ids) // as AWS lists them
			if tt.unprotect {
				require.NoError(t, s.aws.ProtectInstance(ids[0], false))
			}
			_, report, _ := run(t)
			c := checkOf(t, report, "processes")
			f := said(c, problem)
			require.NotNilf(t, f, "%+v", c)
			assert.Equal(t, tt.next(ids), f.Next)
			assert.Containsf(t, f.Evidence, tt.evidence+", and no lifecycle hook on termination in DescribeLifecycleHooks", "%+v", f)
		})
	}
}

// AWS terminates no protected instance by its own choice, and a hook on termination has the others drained.
func TestMixedGroupsThatAreSound(t *testing.T) {
	for name, change := range map[string]func(*fakeaws.AutoScalingGroup){
		"protected": func(web *fakeaws.AutoScalingGroup) { web.ProtectNewInstances = true },
		"drained by a hook": func(web *fakeaws.AutoScalingGroup) {
			web.LifecycleHooks = []fakeaws.LifecycleHook{{Name: "asg-autoscaler-drain", Transition: "terminating"}}
		},
		"base is the maximum": func(web *fakeaws.AutoScalingGroup) { web.Max = 2 },
		"spot alone":          func(web *fakeaws.AutoScalingGroup) { web.MixedInstancesPolicy.Distribution.OnDemandBaseCapacity = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			newSite(t, func(c *fakeaws.Config) { change(mix(c, 2, 0)) })
			_, report, _ := run(t)
			areSound(t, report, "processes")
			assert.Empty(t, checkOf(t, report, "processes").NotChecked)
		})
	}
}

// AWS terminates nothing then.
func TestMixedGroupWithoutTerminationsHasThatFindingAlone(t *testing.T) {
	newSite(t, func(c *fakeaws.Config) {
		web := mix(c, 1, 0)
		web.SuspendedProcesses = append(web.SuspendedProcesses, "Terminate")
	})
	_, report, _ := run(t)
	c := checkOf(t, report, "processes")
	assert.Truef(t, len(c.Findings) == 1 && said(c, "its process Terminate is suspended") != nil, "%+v", c)
}

func TestHooksOfAMixedGroupThatCannotBeRead(t *testing.T) {
	s := newSite(t, func(c *fakeaws.Config) { mix(c, 1, 0) })
	s.aws.Deny("DescribeLifecycleHooks")
	_, report, _ := run(t)
	c := checkOf(t, report, "processes")
	require.Truef(t, len(c.Findings) == 0 && len(c.NotChecked) == 1, "%+v", c)
	assert.Equal(t, `the lifecycle hooks of Auto Scaling group "web"`, c.NotChecked[0].Subject)
	assert.Equal(t, "autoscaling:DescribeLifecycleHooks", c.NotChecked[0].Needs)
}
