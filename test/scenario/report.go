package scenario

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/autoscaler/cluster-autoscaler/clusterstate/api"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// reportLines bounds how much of the autoscaler's log a report shows.
const reportLines = 80

// report is for the reader of a failed test: the timeline, and the end of the log.
func (e *Env) report() string {
	var text strings.Builder
	moments := e.Timeline.Since(time.Time{})
	text.WriteString("Timeline, seconds since its first entry:\n")
	for _, m := range moments {
		fmt.Fprintf(&text, "%8.2f  %-20s %s  %s\n", m.At.Sub(moments[0].At).Seconds(), m.Kind, m.Object, m.Detail)
	}
	log, err := e.Log()
	if err != nil {
		log = err.Error()
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	fmt.Fprintf(&text, "Autoscaler's log, %d lines, the last %d:\n", len(lines), min(len(lines), reportLines))
	text.WriteString(strings.Join(lines[max(0, len(lines)-reportLines):], "\n"))
	return text.String()
}

// reportMatches holds when a line of the report at /status.json matches.
func (s *script) reportMatches(line string) (condition, error) {
	pattern, err := regexp.Compile("(?m)" + line)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (bool, string, error) {
		report, err := s.decided(ctx)
		if err != nil {
			return false, "", err
		}
		text := decisionLines(report)
		return pattern.MatchString(text), text, nil
	}, nil
}

// decided is the report at /status.json.
func (s *script) decided(ctx context.Context) (*decision.Report, error) {
	if s.Autoscaler() == nil {
		return nil, errors.New("no autoscaler to ask")
	}
	text, err := s.Autoscaler().Get(ctx, "/status.json")
	if err != nil {
		return nil, err
	}
	var report decision.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return nil, fmt.Errorf("parse /status.json: %w", err)
	}
	return &report, nil
}

// decisionLines are a line about each pod, group, node, launch and entry of the timeline, and about each comparison of a shadow.
func decisionLines(r *decision.Report) string {
	var lines strings.Builder
	fmt.Fprintf(&lines, "leader %t, calls %d\n", r.Process.Leader, len(r.Calls))
	for _, p := range r.Pods {
		fmt.Fprintf(&lines, "pod %s/%s of %s: %s %s: %s\n", p.Namespace, p.Name, p.Owner, p.State, p.Cause.Code, p.Cause.Message)
	}
	for _, g := range r.Groups {
		fmt.Fprintf(&lines, "group %s: %s %s, %d of %d ready\n", g.Name, g.State, g.Reason.Code, g.Ready, g.Desired)
	}
	for _, n := range r.Nodes {
		fmt.Fprintf(&lines, "node %s of %s: %s %s: %s\n", n.Name, n.Group, n.State, n.Reason.Code, n.Reason.Message)
		for _, line := range n.Console {
			fmt.Fprintf(&lines, "console of %s: %s\n", n.Group, line)
		}
	}
	for _, l := range r.Launches {
		fmt.Fprintf(&lines, "launch in %s by %s: %d of %d, %s: %s\n", l.Group, l.Mode, l.Launched, l.Asked, cmp.Or(l.Outcome.Code, "success"), l.Outcome.Message)
	}
	for _, e := range r.Timeline {
		fmt.Fprintf(&lines, "entry %s %s%s: %s: %s\n", e.Kind, e.Group, e.Node, e.Reason.Code, e.Reason.Message)
	}
	if c := r.Spend.Consolidation; c != nil {
		for _, p := range c.Plans {
			fmt.Fprintf(&lines, "consolidation of %d nodes, new in %s, begun %t\n", len(p.Nodes), cmp.Or(p.NewNode, "none"), p.Begun)
		}
	}
	if r.Shadow != nil {
		for _, d := range r.Shadow.Days {
			fmt.Fprintf(&lines, "shadow: %s\n", d.Words(r.Spend.Currency))
		}
		for _, c := range r.Shadow.Comparisons {
			shadow := sideOf(c, func(n decision.Sides[int]) int { return n.Shadow })
			leader := sideOf(c, func(n decision.Sides[int]) int { return n.Leader })
			if c.Node != "" {
				fmt.Fprintf(&lines, "removal in %s: %s\n", strings.Join(slices.Collect(maps.Keys(c.Groups)), ""), c.Words(r.Spend.Currency))
				continue
			}
			fmt.Fprintf(&lines, "compared %s with %s for %d pods: %s\n", shadow, leader, c.Pods, c.Words(r.Spend.Currency))
		}
	}
	return lines.String()
}

// sideOf are the nodes of the shadow or of the leader, by group.
func sideOf(c decision.Comparison, side func(decision.Sides[int]) int) string {
	var list []string
	for _, group := range slices.Sorted(maps.Keys(c.Groups)) {
		if n := side(c.Groups[group]); n != 0 {
			list = append(list, fmt.Sprintf("%d in %s", n, group))
		}
	}
	return cmp.Or(strings.Join(list, ", "), "none")
}

// statusConfigMap is the config map of the shipped manifests, and of stock, for the state of the groups.
const statusConfigMap = "cluster-autoscaler-status"

// statusMatches holds when a line of the status matches. It fails for a status that is not in the core's form.
func (s *script) statusMatches(line string) (condition, error) {
	pattern, err := regexp.Compile("(?m)" + line)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (bool, string, error) {
		object, err := s.client.CoreV1().ConfigMaps(serviceAccountNamespace).Get(ctx, statusConfigMap, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, "no config map", nil // each autoscaler deletes it at its end
		}
		if err != nil {
			return false, "", err
		}
		text, err := statusLines(object.Data["status"])
		return pattern.MatchString(text), text, err
	}, nil
}

// statusLines are a line about the cluster and one for each group. They fail for a field that the core's type lacks.
func statusLines(text string) (string, error) {
	var status api.ClusterAutoscalerStatus
	if err := yaml.UnmarshalStrict([]byte(text), &status); err != nil {
		return "", fmt.Errorf("parse the status: %w", err)
	}
	var lines strings.Builder
	fmt.Fprintf(&lines, "%s, %s, %s\n", status.AutoscalerStatus, status.ClusterWide.Health.Status, counts(status.ClusterWide.Health.NodeCounts))
	for _, group := range status.NodeGroups {
		fmt.Fprintf(&lines, "%s: %s, %d to %d, target %d, %s, scale-up %s\n", group.Name, group.Health.Status, group.Health.MinSize,
			group.Health.MaxSize, group.Health.CloudProviderTarget, counts(group.Health.NodeCounts), group.ScaleUp.Status)
	}
	return lines.String(), nil
}

func counts(nodes api.NodeCount) string {
	return fmt.Sprintf("%d of %d ready, %d unregistered", nodes.Registered.Ready, nodes.Registered.Total, nodes.Unregistered)
}
