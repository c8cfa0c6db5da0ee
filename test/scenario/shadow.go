package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The ServiceAccount and the lease of a shadow, and the beginning of its user agent at AWS. The stock autoscaler has another one.
const (
	shadowName  = "cluster-autoscaler-shadow"
	shadowAgent = "asg-autoscaler/"
)

// shadow gives the autoscaler the permissions of a shadow alone. The stock autoscaler keeps its own.
func (s *script) shadow(args []string) error {
	access, err := manifests.FS.ReadFile("deploy/rbac-shadow.yaml")
	if err != nil {
		return err
	}
	if _, err = s.Cluster.RunKubectl(s.ctx, string(access), "apply", "-f", "-"); err != nil {
		return err
	}
	s.kubeconfig, err = s.Cluster.ServiceAccountKubeconfig(s.ctx, serviceAccountNamespace, shadowName)
	return err
}

// neverWrote reads the audit log of the API server and the calls of AWS. A request that was refused is in the list, too.
func (s *script) neverWrote() error {
	granted, err := s.Cluster.Granted()
	if err != nil {
		return err
	}
	wrote := append(writesOf(granted), awsWrites(s.AWS.CallLog())...)
	refused, err := s.forbidden()
	if err == nil && len(wrote) > 0 {
		err = fmt.Errorf("the shadow wrote: %s", strings.Join(wrote, ", "))
	}
	return errors.Join(err, refusals(refused))
}

// writesOf are the shadow's requests that do not only read, but for its lease. It must have read something.
func writesOf(granted []controlplane.Request) (wrote []string) {
	reads := 0
	for _, r := range granted {
		switch {
		case !strings.HasSuffix(r.User, ":"+shadowName):
		case slices.Contains([]string{"get", "list", "watch"}, r.Verb):
			reads++
		case r.Resource != "leases" || r.Verb == "update" && r.Name != shadowName:
			wrote = append(wrote, strings.Join([]string{r.Verb, r.Resource, r.Namespace, r.Name}, " "))
		}
	}
	if reads == 0 {
		wrote = append(wrote, "nothing, and it read nothing either")
	}
	return wrote
}

// awsWrites are the actions of the shadow that do not only read. It must have read something.
func awsWrites(calls []fakeaws.Call) (wrote []string) {
	reads := 0
	for _, c := range calls {
		switch {
		case !strings.Contains(c.Agent, shadowAgent):
		case strings.HasPrefix(c.Action, "Describe") || strings.HasPrefix(c.Action, "Get") || strings.HasPrefix(c.Action, "List"):
			reads++
		default:
			wrote = append(wrote, c.Action)
		}
	}
	if reads == 0 {
		wrote = append(wrote, "nothing, and it asked AWS for nothing either")
	}
	return wrote
}

// shadowTrue holds when the days of the shadow's report agree with AWS and the prices of the groups' nodes, which are GROUP=PRICE.
func (s *script) shadowTrue(list []string) (condition, error) {
	prices := map[string]float64{}
	for _, one := range list {
		group, text, _ := strings.Cut(one, "=")
		price, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		prices[group] = price
	}
	return func(ctx context.Context) (bool, string, error) {
		report, err := s.decided(ctx)
		if err != nil || report.Shadow == nil {
			return false, "no shadow answers", err
		}
		var launches, removals decision.Comparison
		for _, day := range report.Shadow.Days {
			launches.Add(day.Launches)
			removals.Add(day.Removals)
		}
		wrong := append(disagreements("raised", launches, prices, leaderRaised(s.AWS.Events())),
			disagreements("removed", removals, prices, leaderRemoved(s.AWS.Events()))...)
		return len(wrong) == 0, strings.Join(wrong, ", "), nil
	}, nil
}

func leaderRaised(events []fakeaws.Event) map[string]int {
	raised := map[string]int{}
	for _, e := range events {
		if e.Kind == fakeaws.DesiredChanged && e.To > e.From {
			raised[e.Group] += e.To - e.From
		}
	}
	return raised
}

func leaderRemoved(events []fakeaws.Event) map[string]int {
	removed := map[string]int{}
	for _, e := range events {
		if e.Kind == fakeaws.TerminateRequested {
			removed[e.Group]++
		}
	}
	return removed
}

// disagreements are what a sum of the report has otherwise.
func disagreements(what string, sum decision.Comparison, prices map[string]float64, leader map[string]int) (wrong []string) {
	var cost decision.Sides[float64]
	for group, price := range prices {
		nodes := sum.Groups[group]
		cost.Shadow, cost.Leader = cost.Shadow+price*float64(nodes.Shadow), cost.Leader+price*float64(nodes.Leader)
		if nodes.Leader != leader[group] {
			wrong = append(wrong, fmt.Sprintf("%s: the leader %s %d, the report has %d", group, what, leader[group], nodes.Leader))
		}
	}
	if math.Abs(cost.Shadow-sum.PerHour.Shadow)+math.Abs(cost.Leader-sum.PerHour.Leader) > 1e-6 {
		wrong = append(wrong, fmt.Sprintf("nodes that were %s cost %v per hour, the report has %v", what, cost, sum.PerHour))
	}
	return wrong
}
