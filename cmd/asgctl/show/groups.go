package show

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
)

// Groups are what asgctl groups prints: the groups by name.
type Groups struct {
	Version string  `json:"version"`
	Groups  []Group `json:"groups"`
}

// Group is one Auto Scaling group. Sizes are in capacity units: instances, unless the policy gives its types weights.
type Group struct {
	Name   string   `json:"name"`
	Region string   `json:"region,omitempty"`
	Zones  []string `json:"zones"`
	Sizes
	Instances int `json:"instances"` // in any lifecycle state
	// States counts the instances by lifecycle state.
	States        map[string]int `json:"states,omitempty"`
	InstanceTypes []string       `json:"instanceTypes"`
	// Clusters are the places that name the cluster of the group, none where nothing does.
	Clusters []launchspec.Statement `json:"clusters,omitempty"`
	// CapacityType is on-demand, spot or mixed, "" where it is not known.
	CapacityType string `json:"capacityType"`
	// OnDemandBase and OnDemandPercentageAboveBase belong to a mixed instances policy.
	OnDemandBase                *int `json:"onDemandBase,omitempty"`
	OnDemandPercentageAboveBase *int `json:"onDemandPercentageAboveBase,omitempty"`
	// Segments are the kinds of capacity that AWS tries, in order, for each distribution segment of the policy.
	Segments [][]string `json:"distributionSegments,omitempty"`
	// Reservations are the capacity reservations of the group's own specification.
	Reservations *group.Reservations `json:"capacityReservations,omitempty"`
	Launch       Launch              `json:"launch"`
	// Nodegroup is the EKS managed node group behind the group.
	Nodegroup *decision.Nodegroup `json:"nodegroup,omitempty"`
	Suspended []string            `json:"suspendedProcesses,omitempty"`
	// AskedFor is how instances are asked for, synchronous or desired-capacity, and WhyNotSynchronous why not at once.
	AskedFor          string `json:"askedFor"`
	WhyNotSynchronous string `json:"whyNotSynchronous,omitempty"`
	// ScaledBy is zone if each zone of the group is a node group of its own, one of Views, and group if the group itself is
	// one. Problems name the reasons why a group that asks for it is not scaled by zone.
	ScaledBy string      `json:"scaledBy"`
	Views    []ZonalView `json:"zonalViews,omitempty"`
	// Paused is the value of the tag that has the group left alone now, such as "scale-up until=2026-12-01T06:00Z", or what AWS does in it.
	Paused string `json:"paused,omitempty"`
	// Clock are the limits of its size by schedules that hold now.
	Clock []string `json:"clock,omitempty"`
	// NewInstancesProtected means that AWS terminates no new instance by its own choice. ProtectedInstances counts the
	// instances with that protection.
	NewInstancesProtected bool `json:"newInstancesProtected,omitempty"`
	ProtectedInstances    int  `json:"protectedInstances,omitempty"`
	WarmPool              bool `json:"warmPool,omitempty"`
	// ZonalShift means that zones may be shifted away from. ImpairedHealth is AWS's handling of unhealthy instances there.
	ZonalShift     bool   `json:"zonalShift,omitempty"`
	ImpairedHealth string `json:"impairedZoneHealthCheckBehavior,omitempty"`
	// Operator is the service that alone may change the group. The autoscaler leaves it alone.
	Operator string               `json:"operator,omitempty"`
	Problems []launchspec.Problem `json:"problems"`
}

// ZonalView is a zonal view of a group: a node group that is one of its zones. Its sizes are its part of the group's, in the same
// unit. The maxima of all views add up to the group's, though in a scale-up each may get the whole rest. The minimum is the
// size of the view if it alone gave up the group's surplus above its own minimum.
type ZonalView struct {
	ID   string `json:"id"` // in logs, events, metrics and status
	Zone string `json:"zone"`
	Sizes
}

// Sizes are those of a group or of a zonal view, and how many of its instances have the lifecycle state InService.
type Sizes struct {
	Min       int `json:"min"`
	Desired   int `json:"desired"`
	Max       int `json:"max"`
	InService int `json:"inService"`
}

func sizesOf(g *group.Group) Sizes {
	sizes := Sizes{Min: g.MinSize, Desired: g.DesiredCapacity, Max: g.MaxSize}
	for _, i := range g.Instances {
		if i.Lifecycle == "InService" {
			sizes.InService++
		}
	}
	return sizes
}

type Launch struct {
	// Kind is launch-template, launch-configuration, mixed-instances-policy, or none.
	Kind    string `json:"kind"`
	Name    string `json:"name,omitempty"` // or ID, as the group states
	Version string `json:"version,omitempty"`
}

func GroupsOf(r *source.Reading) Groups {
	list := Groups{Version: Version, Groups: []Group{}}
	for _, g := range r.Groups {
		list.Groups = append(list.Groups, groupFrom(r, g))
	}
	return list
}

func groupFrom(r *source.Reading, g *group.Group) Group {
	mode, why := asg.AskedFor(g)
	out := Group{
		Name: g.Name, Region: r.Region(g), Zones: slices.Sorted(slices.Values(g.Zones)), Sizes: sizesOf(g),
		Instances: len(g.Instances), InstanceTypes: []string{}, States: map[string]int{}, CapacityType: g.CapacityType(), Launch: launchFrom(g.Source),
		Suspended: g.SuspendedProcesses, Problems: r.Problems(g), AskedFor: string(mode), WhyNotSynchronous: why, ScaledBy: "group", Clusters: g.Stated,
		NewInstancesProtected: g.ProtectsNewInstances, WarmPool: g.WarmPool, ZonalShift: g.ZonalShift, ImpairedHealth: g.ImpairedHealth,
		Operator: g.Operator, Segments: g.Source.Segments,
	}
	if p := cmp.Or(g.LeftAlone(time.Now(), false), g.LeftAlone(time.Now(), true)); p != (group.Pause{}) {
		out.Paused = cmp.Or(p.Operation.Text, g.Tags[group.TagPaused])
	}
	for _, t := range g.Timed {
		out.Clock = append(out.Clock, t.String())
	}
	for _, view := range r.Views(g) {
		out.ScaledBy, out.Views = "zone", append(out.Views, ZonalView{ID: view.ID(), Zone: view.Zone, Sizes: sizesOf(view)})
	}
	if r := g.Reservations; r.Preference != "" || len(r.IDs)+len(r.Groups) > 0 {
		out.Reservations = &r
	}
	for _, i := range g.Instances {
		out.States[string(i.Lifecycle)]++
		if i.Protected {
			out.ProtectedInstances++
		}
	}
	if g.Source.Mixed {
		out.CapacityType = cmp.Or(out.CapacityType, "mixed")
		out.OnDemandBase, out.OnDemandPercentageAboveBase = &g.Source.OnDemandBase, &g.Source.OnDemandPercentageAboveBase
	}
	if g.LaunchSpec == nil {
		return out
	}
	for _, t := range g.LaunchSpec.Types {
		out.InstanceTypes = append(out.InstanceTypes, t.Name)
	}
	if n := g.LaunchSpec.Nodegroup; n != nil {
		out.Nodegroup = &decision.Nodegroup{Cluster: n.Cluster, Name: n.Name}
	}
	return out
}

func launchFrom(s launchspec.Source) Launch {
	name := cmp.Or(s.Template.ID, s.Template.Name)
	switch {
	case s.ConfigurationName != "":
		return Launch{Kind: "launch-configuration", Name: s.ConfigurationName}
	case s.Mixed:
		return Launch{Kind: "mixed-instances-policy", Name: name, Version: s.Template.Version}
	case name != "":
		return Launch{Kind: "launch-template", Name: name, Version: s.Template.Version}
	}
	return Launch{Kind: "none"}
}

// Blocked are the names of the groups to which no node can be added.
func (l Groups) Blocked() (names []string) {
	for _, g := range l.Groups {
		if slices.ContainsFunc(g.Problems, func(p launchspec.Problem) bool { return p.Blocks }) {
			names = append(names, g.Name)
		}
	}
	return names
}

// Table returns the list for people: the groups, then the zonal views there are, then the problems. It is "" without groups.
func (l Groups) Table() string {
	if len(l.Groups) == 0 {
		return ""
	}
	var rows, views [][]string
	problems := ""
	for _, g := range l.Groups {
		zones := strings.Join(g.Zones, ",")
		if g.ZonalShift { // they may be shifted away from
			zones += " (zonal shift)"
		}
		if g.Paused != "" {
			g.ScaledBy += " (paused: " + g.Paused + ")"
		}
		if len(g.Clock) > 0 {
			g.ScaledBy += " (" + strings.Join(g.Clock, ", ") + ")"
		}
		rows = append(rows, g.row(g.Name, zones, some(g.InstanceTypes, maxNames, ",", " and "), g.capacity(), g.Launch.String(),
			cmp.Or(g.Operator, g.AskedFor), g.ScaledBy, g.cluster(), Count(len(g.Problems))))
		for _, view := range g.Views {
			views = append(views, view.row(view.ID))
		}
		problems += problemText(g.Name, g.Problems)
	}
	header := []string{"GROUP", "MIN", "DESIRED", "MAX", "IN-SERVICE",
		"ZONES", "TYPES", "CAPACITY", "LAUNCHES-FROM", "ASKED-FOR-BY", "SCALED-BY", "CLUSTER", "PROBLEMS"}
	return Columns(header, rows) + below(append([]string{"ZONAL-VIEW"}, header[1:5]...), views) + problems
}

// row has the sizes between the name and the others.
func (s Sizes) row(name string, others ...string) []string {
	return append([]string{name, strconv.Itoa(s.Min), strconv.Itoa(s.Desired), strconv.Itoa(s.Max), strconv.Itoa(s.InService)}, others...)
}

// problemText lists the problems of one group, nothing where there are none.
func problemText(group string, problems []launchspec.Problem) string {
	if len(problems) == 0 {
		return ""
	}
	text := "\nProblems of " + Clean(group) + ":\n"
	for _, p := range problems {
		text += fmt.Sprintf("- %s: %s\n", p.Reason, Clean(p.Message))
		if p.Remedy != "" {
			text += "  " + Lines(p.Remedy, "  ") + "\n"
		}
	}
	return text
}

// cluster is each name that the group states, with the places that state it.
func (g Group) cluster() string {
	var names []string
	sources := map[string][]string{}
	for _, c := range g.Clusters {
		if sources[c.Cluster] == nil {
			names = append(names, c.Cluster)
		}
		sources[c.Cluster] = append(sources[c.Cluster], c.Source)
	}
	for at, name := range names {
		names[at] = name + " (" + strings.Join(sources[name], ", ") + ")"
	}
	return strings.Join(names, "; ")
}

// capacity is the capacity type with the shares of a mixed one, the segments of the policy and the use of reservations.
func (g Group) capacity() string {
	text := g.CapacityType
	if text == "mixed" {
		text = fmt.Sprintf("mixed: %d on-demand, then %d%%", *g.OnDemandBase, *g.OnDemandPercentageAboveBase)
	}
	for _, segment := range g.Segments {
		text += ", segment " + strings.Join(segment, ">")
	}
	if r := g.Reservations; r != nil {
		text += ", " + strings.Join(slices.Concat([]string{r.Preference}, r.IDs, r.Groups), " ")
	}
	return text
}

func (l Launch) String() string {
	of := map[string]string{"launch-configuration": "configuration", "launch-template": "template", "mixed-instances-policy": "policy over"}
	return strings.TrimSpace(of[l.Kind] + " " + l.Name + " " + l.Version)
}

const maxNames = 4

// some lists the first names of a list that may be long, and counts the others. The words before their number are rest.
func some(names []string, most int, between, rest string) string {
	if len(names) <= most {
		return strings.Join(names, between)
	}
	return fmt.Sprintf("%s%s%d more", strings.Join(names[:most], between), rest, len(names)-most)
}
