package fakeaws

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// admin is the recorded author of changes by these methods.
const admin = "admin"

// A GroupState is a group at one moment.
type GroupState struct {
	Name      string            `json:"name"`
	Zones     []string          `json:"zones"`
	Min       int               `json:"min"`
	Max       int               `json:"max"`
	Desired   int               `json:"desired"`
	Tags      map[string]string `json:"tags"`
	Instances []InstanceState   `json:"instances"` // in the order of launch
}

// An InstanceState is an instance of a group at one moment.
type InstanceState struct {
	ID           string    `json:"id"`
	InstanceType string    `json:"instanceType"`
	CapacityType string    `json:"capacityType"`
	Zone         string    `json:"zone"`
	State        string    `json:"state"` // lifecycle state, such as Pending, InService or Terminating:Wait
	Weight       int       `json:"weight"`
	Node         string    `json:"node"` // name of its Node, registered or not
	Launched     time.Time `json:"launched"`
}

// Groups returns the state of every group, sorted by name.
func (s *Server) Groups() []GroupState {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	out := []GroupState{}
	for _, g := range s.account.sortedGroups() {
		out = append(out, g.snapshot())
	}
	return out
}

// Group returns the state of one group, and whether there is one of that name.
func (s *Server) Group(name string) (GroupState, bool) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	g, ok := s.account.groups[name]
	if !ok {
		return GroupState{}, false
	}
	return g.snapshot(), true
}

func (g *group) snapshot() GroupState {
	out := GroupState{Name: g.Name, Zones: slices.Clone(g.Zones), Min: g.Min, Max: g.Max, Desired: g.Desired, Tags: maps.Clone(g.Tags), Instances: []InstanceState{}}
	for _, i := range g.instances {
		out.Instances = append(out.Instances, InstanceState{
			ID: i.id, InstanceType: i.pool.instanceType, CapacityType: i.pool.capacityType, Zone: i.pool.zone,
			State: i.state, Weight: i.weight, Node: i.nodeName, Launched: i.launchTime,
		})
	}
	return out
}

// AddGroup adds a group whose instances are launched like those a Server starts with.
func (s *Server) AddGroup(cfg AutoScalingGroup) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, exists := a.groups[cfg.Name]; exists {
		return fmt.Errorf("auto scaling group %q exists", cfg.Name)
	}
	g := newGroup(a, cfg)
	a.groups[cfg.Name] = g
	a.events.add(Event{Kind: GroupCreated, Group: cfg.Name, By: admin})
	a.settle(g)
	return nil
}

// change calls do on a group, with the account locked.
func (s *Server) change(name string, do func(*account, *group)) error {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	g, ok := s.account.groups[name]
	if !ok {
		return noGroup(name)
	}
	do(s.account, g)
	return nil
}

func noGroup(name string) error { return fmt.Errorf("no auto scaling group %q", name) }

// DeleteGroup deletes a group with its instances.
func (s *Server) DeleteGroup(name string) error {
	return s.change(name, func(a *account, g *group) { a.deleteGroup(g) })
}

// SetDesired changes a desired capacity as another writer would. It ignores the group's minimum and maximum.
func (s *Server) SetDesired(name string, desired int) error {
	if desired < 0 || desired > maxGroupSize {
		return fmt.Errorf("desired capacity %d of %q: not within 0 and %d", desired, name, maxGroupSize)
	}
	return s.change(name, func(a *account, g *group) { a.setDesired(g, desired, admin) })
}

// SetLimits changes minimum and maximum. The desired capacity moves with them.
func (s *Server) SetLimits(name string, lower, upper int) error {
	if lower < 0 || upper < lower || upper > maxGroupSize {
		return fmt.Errorf("limits %d and %d of %q: 0 ≤ min ≤ max ≤ %d does not hold", lower, upper, name, maxGroupSize)
	}
	return s.change(name, func(a *account, g *group) {
		g.Min, g.Max = lower, upper
		a.events.add(Event{Kind: GroupUpdated, Group: name, By: admin, From: lower, To: upper})
		a.setDesired(g, min(max(g.Desired, lower), upper), admin)
	})
}

// A GroupEdit is an operator's change of a group. Omitted fields stay.
type GroupEdit struct {
	Min     *int `json:"min,omitempty"`
	Max     *int `json:"max,omitempty"`
	Desired *int `json:"desired,omitempty"` // moves with the limits

	Tags  map[string]*string `json:"tags,omitempty"` // null deletes one
	Zones []string           `json:"zones,omitempty"`

	ShiftedZones   *[]string `json:"shiftedZones,omitempty"` // an empty list ends the zonal shifts
	AutoshiftZones *[]string `json:"autoshiftZones,omitempty"`

	ClusterShiftedZones *[]string `json:"clusterShiftedZones,omitempty"`

	// One of these may replace the group's own.
	LaunchTemplate       *LaunchTemplateRef    `json:"launchTemplate,omitempty"`
	LaunchConfiguration  string                `json:"launchConfiguration,omitempty"`
	MixedInstancesPolicy *MixedInstancesPolicy `json:"mixedInstancesPolicy,omitempty"`
}

// applied is the group after the edit, without the tags.
func (e GroupEdit) applied(g AutoScalingGroup) AutoScalingGroup {
	if e.LaunchTemplate != nil || e.LaunchConfiguration != "" || e.MixedInstancesPolicy != nil {
		g.LaunchTemplate, g.LaunchConfiguration, g.MixedInstancesPolicy = e.LaunchTemplate, e.LaunchConfiguration, e.MixedInstancesPolicy
	}
	if len(e.Zones) > 0 {
		g.Zones = e.Zones
	}
	if e.ShiftedZones != nil {
		g.ShiftedZones = *e.ShiftedZones
	}
	if e.AutoshiftZones != nil {
		g.AutoshiftZones = *e.AutoshiftZones
	}
	if e.ClusterShiftedZones != nil {
		g.ClusterShiftedZones = *e.ClusterShiftedZones
	}
	g.Min, g.Max = or(e.Min, g.Min), or(e.Max, g.Max)
	g.Desired = or(e.Desired, min(max(g.Desired, g.Min), g.Max))
	return g
}

// EditGroup changes a group, all at once or, with an error, not at all. Existing instances stay unchanged.
func (s *Server) EditGroup(name string, e GroupEdit) error {
	var refused error
	err := s.change(name, func(a *account, g *group) {
		if g.deleting {
			refused = pendingDelete
			return
		}
		edited := e.applied(g.AutoScalingGroup)
		if refused = edited.validate(); refused != nil {
			return
		}
		desired := edited.Desired
		edited.Desired = g.Desired
		g.AutoScalingGroup = edited
		a.events.add(Event{Kind: GroupUpdated, Group: name, By: admin, From: g.Min, To: g.Max})
		if len(e.Tags) > 0 {
			a.setTags(g, e.Tags)
		}
		a.setDesired(g, desired, admin)
	})
	return errors.Join(err, refused)
}

// SetTags adds or changes tags of a group. A nil value deletes one.
func (s *Server) SetTags(name string, tags map[string]*string) error {
	return s.change(name, func(a *account, g *group) { a.setTags(g, tags) })
}

// SetNodeConfig changes the bootstrap of a group for Nodes that register from now on. It also holds for a group that is to come
// back, because Nodes follow user data, which outlives a group.
func (s *Server) SetNodeConfig(name string, cfg NodeConfig) error {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	g, back := s.account.groups[name], s.account.returning[name]
	if g == nil && back == nil {
		return noGroup(name)
	}
	if g != nil {
		g.NodeConfig = cfg
	}
	if back != nil {
		back.NodeConfig = cfg
	}
	return nil
}

// PutLaunchTemplate adds a launch template, or replaces the one with its ID or else its name.
func (s *Server) PutLaunchTemplate(t LaunchTemplate) error {
	if err := t.validate(); err != nil {
		return err
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	if old := s.account.template(LaunchTemplateRef{ID: t.ID, Name: t.Name}); old != nil {
		s.account.deleteTemplate(old)
		t.ID = old.ID
	}
	s.account.addTemplate(t)
	return nil
}

// DeleteLaunchTemplate deletes a launch template by ID or name. Groups that use it stay.
func (s *Server) DeleteLaunchTemplate(idOrName string) error {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.templates[idOrName]
	if t == nil {
		t = a.template(LaunchTemplateRef{Name: idOrName})
	}
	if t == nil {
		return fmt.Errorf("no launch template %q", idOrName)
	}
	a.deleteTemplate(t)
	a.events.add(Event{Kind: TemplateDeleted, Message: t.ID, By: admin})
	return nil
}

// SetParameter has a parameter of Systems Manager name another image from now on.
func (s *Server) SetParameter(path, image string) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.ssm[path] = image
}

// Reclaim takes an instance away as EC2 does with spot instances: it is unhealthy, ends, and is replaced.
func (s *Server) Reclaim(instanceID string) error {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.instances[instanceID]
	if !ok || !i.ended.IsZero() {
		return fmt.Errorf("no instance %q", instanceID)
	}
	a.lose(i)
	return nil
}

// ProtectInstance sets the scale-in protection of an instance.
func (s *Server) ProtectInstance(instanceID string, protected bool) error {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	i, ok := s.account.instances[instanceID]
	if !ok {
		return fmt.Errorf("no instance %q", instanceID)
	}
	i.protected = protected
	return nil
}
