package scenario

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// reportMatches holds when a line of the report at /status.json matches.
func (s *script) reportMatches(line string) (condition, error) {
	pattern, err := regexp.Compile("(?m)" + line)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (bool, string, error) {
		if s.Autoscaler() == nil {
			return false, "", errors.New("no autoscaler to ask")
		}
		text, err := s.Autoscaler().Get(ctx, "/status.json")
		if err != nil {
			return false, "", err
		}
		var report decision.Report
		if err := json.Unmarshal([]byte(text), &report); err != nil {
			return false, "", fmt.Errorf("parse /status.json: %w", err)
		}
		text = decisionLines(&report)
		return pattern.MatchString(text), text, nil
	}, nil
}

// decisionLines are a line about each pod, group, node, launch and entry of the timeline.
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
	}
	for _, l := range r.Launches {
		fmt.Fprintf(&lines, "launch in %s by %s: %d of %d, %s: %s\n", l.Group, l.Mode, l.Launched, l.Asked, cmp.Or(l.Outcome.Code, "success"), l.Outcome.Message)
	}
	for _, e := range r.Timeline {
		fmt.Fprintf(&lines, "entry %s %s%s: %s: %s\n", e.Kind, e.Group, e.Node, e.Reason.Code, e.Reason.Message)
	}
	return lines.String()
}
