package leastcost

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
)

// node is an empty node that is filled pod by pod.
type node struct {
	room amounts
	pods []types.UID
	all  []*apiv1.Pod
}

// booked puts each pod on the first of the nodes that has room for it and no pod that keeps off it.
func booked(t *testing.T, o expander.Option, info *framework.NodeInfo) [][]types.UID {
	t.Helper()
	d := newDemand([]candidate{{option: o, info: info}}, nil)
	nodes := make([]node, o.NodeCount)
	for i := range nodes {
		nodes[i].room = d.dimensions.offeredBy(info)
	}
next:
	for _, pod := range o.Pods {
		request := d.requests[d.index[pod]]
		for i := range nodes {
			n := &nodes[i]
			apart := func(other *apiv1.Pod) bool {
				s := separations([]*apiv1.Pod{pod, other})
				return s[0].from(s[1])
			}
			if request.within(n.room) && !slices.ContainsFunc(n.all, apart) {
				n.room.add(request, -1)
				n.pods, n.all = append(n.pods, pod.UID), append(n.all, pod)
				continue next
			}
		}
		t.Fatalf("pod %s has no room on %d nodes", pod.Name, o.NodeCount)
	}
	var list [][]types.UID
	for _, n := range nodes {
		list = append(list, n.pods)
	}
	return list
}

func planNodes(d *decision) [][]types.UID {
	var list [][]types.UID
	for _, node := range firstNodes(d) {
		var pods []types.UID
		for _, pod := range node.Pods {
			pods = append(pods, pod.UID)
		}
		list = append(list, pods)
	}
	return list
}

func firstNodes(d *decision) []plan.Node { return d.choice.planned[d.choice.first].nodes }

func TestFirstFitInOrderGivesThePlan(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 11))
	cut := 0
	for round := range 60 {
		options, templates, prices := world(random, 1+random.IntN(8), 1+random.IntN(12), 20)
		if round%3 == 0 {
			options, templates, prices = many(random, 1+random.IntN(8), 80, 80)
		}
		if round%3 == 1 { // pods of some workloads keep apart
			apart := map[*apiv1.Pod]*apiv1.Pod{}
			for i, o := range options {
				options[i].NodeCount = len(o.Pods)
				for k, pod := range o.Pods {
					if apart[pod] == nil {
						apart[pod] = pod
						if len(pod.OwnerReferences[0].Name)%2 == 0 && random.IntN(3) > 0 {
							apart[pod] = avoiding(apiv1.LabelHostname, "app", []*apiv1.Pod{pod})[0]
						}
					}
					options[i].Pods[k] = apart[pod]
				}
			}
		}
		if len(options) == 0 {
			continue
		}
		d := newFilter(prices, nil).decide(options, templates)
		best := d.choice.options(d.candidates)
		if len(firstNodes(d)) == 0 {
			continue // a whole option, in the core's order
		}
		cut++
		assert.Emptyf(t, cmp.Diff(planNodes(d), booked(t, best[0], templates[best[0].NodeGroup.Id()])),
			"round %d: %d nodes of %s (-planned +booked)", round, best[0].NodeCount, best[0].NodeGroup.Id())
	}
	assert.Truef(t, cut >= 20, "only %d plans were divided: they say nothing", cut)
}

// raised has the filter choose until nothing is pending, as the core does with the pods that are left, and returns the nodes by
// group. With rest the options are what is left of the plan, and not what the core packs.
func raised(t *testing.T, f *Filter, pending []expander.Option, templates map[string]*framework.NodeInfo, rest bool) map[string]int {
	t.Helper()
	nodes, placed := map[string]int{}, map[types.UID]bool{}
	for range 100 {
		left := packed(pending, placed, templates)
		if rest && len(placed) > 0 {
			left = restOf(f, pending)
		}
		if len(left) == 0 {
			return nodes
		}
		best := f.BestOptions(left, templates)
		nodes[best[0].NodeGroup.Id()] += best[0].NodeCount
		for _, pod := range best[0].Pods {
			placed[pod.UID] = true
		}
	}
	t.Fatal("pods are left after a hundred raises")
	return nil
}

func packed(pending []expander.Option, placed map[types.UID]bool, templates map[string]*framework.NodeInfo) (left []expander.Option) {
	for _, o := range pending {
		o.Pods = slices.DeleteFunc(slices.Clone(o.Pods), func(pod *apiv1.Pod) bool { return placed[pod.UID] })
		o.NodeCount = firstFit(o.Pods, templates[o.NodeGroup.Id()].Node().Status.Allocatable)
		if o.NodeCount > 0 {
			left = append(left, o)
		}
	}
	return left
}

func restOf(f *Filter, options []expander.Option) (rest []expander.Option) {
	pods := map[types.UID]*apiv1.Pod{}
	for _, o := range options {
		for _, pod := range o.Pods {
			pods[pod.UID] = pod
		}
	}
	_, later := f.Plan()
	groups := map[string]*expander.Option{}
	for _, node := range later {
		o := groups[node.Group]
		if o == nil {
			made := option(node.Group, 0)
			o, groups[node.Group] = &made, &made
		}
		o.NodeCount, o.Pods = o.NodeCount+1, append(o.Pods, node.Waiting(pods)...)
	}
	for _, o := range groups {
		rest = append(rest, *o)
	}
	return rest
}

func TestRaisesAddUpToThePlan(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 13))
	several := 0
	for round := range 25 {
		options, templates, prices := world(random, 4+random.IntN(10), 3+random.IntN(8), 30)
		want, _ := bill(newFilter(prices, nil), options, templates)
		for _, rest := range []bool{false, true} {
			assert.Emptyf(t, cmp.Diff(want, raised(t, newFilter(prices, nil), options, templates, rest)),
				"round %d, options of the plan's rest %t (-planned +raised)", round, rest)
		}
		if len(want) > 2 {
			several++
		}
	}
	assert.Truef(t, several >= 10, "only %d plans have more than two groups: they say nothing", several)
}

func TestPlanGoesOnOnlyWhileItHolds(t *testing.T) {
	web, big := replicas("web", 8, "1", "1Gi"), replicas("big", 2, "1", "14Gi")
	late := replicas("late", 1, "1", "1Gi")
	templates := map[string]*framework.NodeInfo{"large": template("8", "16Gi"), "small": template("4", "8Gi"), "other": template("4", "8Gi"), "new": template("4", "8Gi")}
	for _, tt := range []struct {
		name    string
		later   time.Duration                             // the second call
		prices  flat                                      // at the second call, over those of the first
		pending func(left []*apiv1.Pod) []expander.Option // at the second call
		want    string                                    // begins with, at the second call
	}{
		{name: "nothing changed", want: "small: 1 for 4"},
		{name: "the next node of the group that grew has another price", prices: flat{"large": 0.01}, want: "small: 1 for 4"},
		{name: "another group is cheaper", prices: flat{"other": 0.01}, want: "small: 1 for 4"},
		{name: "another group is cheaper some time later", later: planLasts, prices: flat{"other": 0.01}, want: "other: 1 for 4"},
		{name: "the group is gone", want: "other: 1 for 4",
			pending: func(left []*apiv1.Pod) []expander.Option {
				return []expander.Option{option("large", 1, left), option("other", 1, left)}
			}},
		{name: "the group takes only some of its pods", want: "new: 1 for 4",
			pending: func(left []*apiv1.Pod) []expander.Option {
				left = attaching(1, left) // so that no pod stands for another
				return []expander.Option{option("small", 1, left[1:]), option("new", 1, left)}
			}},
		{name: "a pod came", want: "small: 2 for 5",
			pending: func(left []*apiv1.Pod) []expander.Option { return []expander.Option{option("small", 2, left, late)} }},
		{name: "a pod found room", want: "small: 1 for 3",
			pending: func(left []*apiv1.Pod) []expander.Option { return []expander.Option{option("small", 1, left[1:])} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prices := flat{"large": 0.3, "small": 0.05, "other": 0.2, "new": 0.01}
			f := newFilter(prices, nil)
			first := f.BestOptions([]expander.Option{option("large", 3, web, big), option("small", 2, web), option("other", 2, web)}, templates)
			require.Empty(t, cmp.Diff([]string{"large: 2 for 6"}, summary(first)), "begins with (-want +got)")
			left := slices.DeleteFunc(slices.Clone(web), func(pod *apiv1.Pod) bool { return slices.Contains(first[0].Pods, pod) })
			maps.Copy(prices, tt.prices)
			f.clock = clocktesting.NewFakePassiveClock(time.Now().Add(tt.later))
			pending := []expander.Option{option("large", 1, left), option("small", 1, left), option("other", 1, left)}
			if tt.pending != nil {
				pending = tt.pending(left)
			}
			assert.Equal(t, []string{tt.want}, summary(f.BestOptions(pending, templates)), "goes on with")
		})
	}
}
