package fakeaws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxGroupSize keeps a typing error from filling the memory.
const maxGroupSize = 10_000

// withDefaults fills in the documented defaults of the Config.
func (c Config) withDefaults() Config {
	c.Region = first(c.Region, DefaultRegion)
	c.Account = first(c.Account, DefaultAccount)
	c.Latency = first(c.Latency, Duration(5*time.Millisecond))
	c.ClientTokens = first(c.ClientTokens, Duration(10*time.Minute))
	if c.Strict && c.Throttles == nil {
		c.Throttles = strictThrottles
	}
	d := &c.Delays
	d.Listed = first(d.Listed, Duration(500*time.Millisecond))
	d.InService = first(d.InService, Duration(1500*time.Millisecond))
	d.Register = first(d.Register, Duration(3*time.Second))
	d.GPU = first(d.GPU, Duration(15*time.Second))
	d.Terminate = first(d.Terminate, Duration(time.Second))
	d.Retry = first(d.Retry, Duration(10*time.Second))
	d.Synchronous = first(d.Synchronous, Duration(500*time.Millisecond))
	return c
}

// validate finds errors that make an account impossible. Errors that AWS would find only at launch, such as a template that
// does not exist, are allowed here.
func (c Config) validate() error {
	var errs []error
	templates := map[string]bool{}
	for _, t := range c.LaunchTemplates {
		errs = append(errs, t.validate())
		if templates[t.Name] {
			errs = append(errs, fmt.Errorf("launch template %q: declared twice", t.Name))
		}
		templates[t.Name] = true
	}
	names := map[string]bool{}
	for _, g := range c.AutoScalingGroups {
		errs = append(errs, g.validate())
		if names[g.Name] {
			errs = append(errs, fmt.Errorf("auto scaling group %q: declared twice", g.Name))
		}
		names[g.Name] = true
	}
	for _, ng := range c.EKSNodegroups {
		if ng.Cluster == "" || ng.Name == "" {
			errs = append(errs, fmt.Errorf("eks nodegroup %q of cluster %q: both names are needed", ng.Name, ng.Cluster))
		}
	}
	for _, d := range c.Deeds {
		errs = append(errs, d.validate())
	}
	for _, t := range c.Throttles {
		errs = append(errs, t.validate())
	}
	errs = append(errs, c.validateQueues())
	_, err := parsePolicies(c.Policies)
	errs = append(errs, err)
	for _, img := range c.Images {
		if !strings.HasPrefix(img.ID, "ami-") {
			errs = append(errs, fmt.Errorf("image %q: IDs begin with ami-", img.ID))
		}
	}
	return errors.Join(errs...)
}

func (t LaunchTemplate) validate() error {
	switch {
	case t.Name == "":
		return errors.New("launch template without a name")
	case len(t.Versions) == 0:
		return fmt.Errorf("launch template %q: no versions", t.Name)
	case t.Default < 0 || t.Default > len(t.Versions):
		return fmt.Errorf("launch template %q: default version %d of %d", t.Name, t.Default, len(t.Versions))
	case t.ID != "" && !strings.HasPrefix(t.ID, "lt-"):
		return fmt.Errorf("launch template %q: ID %q does not begin with lt-", t.Name, t.ID)
	}
	return nil
}

func (g AutoScalingGroup) validate() error {
	sources := 0
	for _, given := range []bool{g.LaunchTemplate != nil, g.LaunchConfiguration != "", g.MixedInstancesPolicy != nil} {
		if given {
			sources++
		}
	}
	switch {
	case g.Name == "":
		return errors.New("auto scaling group without a name")
	case sources != 1:
		return fmt.Errorf("auto scaling group %q: give one of launchTemplate, launchConfiguration and mixedInstancesPolicy", g.Name)
	case len(g.Zones) == 0:
		return fmt.Errorf("auto scaling group %q: no zones", g.Name)
	case g.Max > maxGroupSize && g.DesiredCapacityType != "memory-mib":
		return fmt.Errorf("auto scaling group %q: max %d is over %d", g.Name, g.Max, maxGroupSize)
	case g.Min < 0 || g.Max < g.Min || g.Desired < g.Min || g.Desired > g.Max:
		return fmt.Errorf("auto scaling group %q: min %d ≤ desired %d ≤ max %d does not hold", g.Name, g.Min, g.Desired, g.Max)
	case g.MaxInstanceLifetime < 0:
		return fmt.Errorf("auto scaling group %q: a maximum instance lifetime of never is none: leave it out", g.Name)
	case g.MaintenancePolicy != nil && !g.MaintenancePolicy.valid():
		return fmt.Errorf("auto scaling group %q: its maintenance policy needs a minimum of 0 to 100, a maximum of 100 to 200, and at most 100 between them", g.Name)
	case g.VolumeLimit < 0:
		return fmt.Errorf("auto scaling group %q: volume limit %d is below zero", g.Name, g.VolumeLimit)
	}
	if err := g.validateLifecycle(); err != nil {
		return fmt.Errorf("auto scaling group %q: %w", g.Name, err)
	}
	for _, taint := range slices.Concat(g.NodeTaints, g.SpotNodeTaints, g.StartupTaints) {
		if _, err := parseTaint(taint); err != nil {
			return fmt.Errorf("auto scaling group %q: %w", g.Name, err)
		}
	}
	if g.MIG != nil && !slices.Contains([]string{"none", "single", "mixed"}, g.MIG.Strategy) {
		return fmt.Errorf("auto scaling group %q: MIG strategy %q: want none, single or mixed", g.Name, g.MIG.Strategy)
	}
	return nil
}

func (p MaintenancePolicy) valid() bool {
	return p.MinHealthy >= 0 && p.MinHealthy <= 100 && p.MaxHealthy >= 100 && p.MaxHealthy <= 200 && p.MaxHealthy-p.MinHealthy <= 100
}

func (g AutoScalingGroup) validateLifecycle() error {
	for _, h := range g.LifecycleHooks {
		if err := h.validate(); err != nil {
			return err
		}
	}
	_, err := processNames(g.SuspendedProcesses)
	return err
}
