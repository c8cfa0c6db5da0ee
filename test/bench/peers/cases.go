package peers

import (
	"context"
	"time"
)

// A benchCase is one thing that is measured.
type benchCase struct {
	name    string
	title   string
	groups  func() []group
	before  []podSet                          // run before the peer starts
	do      func(context.Context, *run) error // adds the run's figures
	shared  bool                              // one world for all runs, because none changes it
	leases  time.Duration                     // how often each node's lease is renewed, 0 for kubelet's 10 s
	nodesGo bool                              // empty nodes may go, after unneededTime
	// groupsOnly leaves out Karpenter, where the case is about calls to Auto Scaling.
	groupsOnly bool
	// defaultRates keeps the control plane's default rates of calls.
	defaultRates bool
}

func (c benchCase) String() string { return c.name }

// defaultRates ends the name of a case in which the control plane keeps its default rates of calls.
const defaultRates = "-default-rates"

func (c benchCase) atDefaultRates() benchCase {
	c.name, c.title, c.defaultRates = c.name+defaultRates, c.title+", with the control plane's default rates", true
	return c
}

// reported are the names of all cases in the order of the report.
func reported() []string {
	var all []string
	for _, name := range names(cases) {
		all = append(all, name, name+defaultRates)
	}
	return all
}

const (
	large  = "m5.4xlarge" // takes 31 pods of half a CPU
	medium = "m5.2xlarge" // takes 10 pods of 0.7 CPU
	small  = "m5.large"   // takes one pod of 1.2 CPU
	gpu    = "g4dn.xlarge"
)

// cases are in the order of the report.
var cases = []benchCase{
	{name: "reaction-1", title: "one pod, one group at zero", groups: groups(1, large), do: burst(podSet{count: 1})},
	{name: "reaction-gpu", title: "one pod with a GPU, one group at zero", groups: groups(1, gpu), do: burst(podSet{count: 1, gpu: true})},
	{name: "reaction-20", title: "20 pods at once", groups: groups(1, large), do: burst(podSet{count: 20})},
	{name: "reaction-200", title: "200 pods at once", groups: groups(1, large), do: burst(podSet{count: 200})},
	{name: "reaction-2000", title: "2,000 pods at once", groups: groups(1, large), do: burst(podSet{count: 2000})},

	{name: "several-2", title: "10 pods that need two groups", groups: groups(2, large), do: several(2, 5)},
	{name: "several-5", title: "25 pods that need five groups", groups: groups(5, large), do: several(5, 5)},
	{name: "several-2000", title: "2,000 pods that need two groups", groups: groups(2, large), do: several(2, 1000)},
	{name: "several-hang", title: "five groups, of which one has launches that hang",
		groups: groups(5, large), do: hanging(5, 5), groupsOnly: true},

	{name: "groups-10", title: "idle with 10 groups", groups: groups(10, large), do: idle, shared: true, groupsOnly: true},
	{name: "groups-100", title: "idle with 100 groups", groups: groups(100, large), do: idle, shared: true, groupsOnly: true},
	{name: "groups-1000", title: "idle with 1,000 groups", groups: groups(1000, large), do: idle, shared: true, groupsOnly: true},

	{name: "nodes-100", title: "idle with 100 nodes of 10 pods", groups: nodes(100, medium), before: busy(100), do: idle, shared: true, groupsOnly: true},
	{name: "nodes-1000", title: "idle with 1,000 nodes of 10 pods", groups: nodes(1000, medium), before: busy(1000), do: idle, shared: true, groupsOnly: true},
	{name: "nodes-5000", title: "idle with 5,000 nodes of 10 pods", groups: nodes(5000, medium), before: busy(5000), do: idle, shared: true, groupsOnly: true,
		leases: 2 * time.Minute},

	{name: "down-30", title: "30 nodes become empty", groups: groups(1, small), do: emptied(30), nodesGo: true},
	{name: "down-300", title: "300 nodes become empty", groups: groups(3, small), do: emptied(300), nodesGo: true},

	{name: "fallback-1", title: "one pod, and the preferred group has no capacity", groups: fallbackGroups, do: fallback, groupsOnly: true},
}

func groups(count int, instanceType string) func() []group {
	return func() []group { return of(count, instanceType) }
}

func nodes(count int, instanceType string) func() []group {
	return func() []group { return spread(count, instanceType) }
}
