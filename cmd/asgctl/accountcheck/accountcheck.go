package accountcheck

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

type Check struct {
	Version     string  `json:"version"`
	Region      string  `json:"region"`
	Permissions []Call  `json:"permissions"`
	Launch      *Launch `json:"launch,omitempty"`

	clients *awsclient.Clients
}

// New makes the read-only calls, one after the other.
func New(ctx context.Context, clients *awsclient.Clients) *Check {
	return &Check{Version: show.Version, Region: clients.Region, Permissions: Permissions(ctx, clients), clients: clients}
}

// Findings are the facts that somebody must put right.
func (c *Check) Findings() (found []string) {
	for _, p := range c.Permissions {
		if p.Fault() {
			found = append(found, p.Action+" is "+p.Outcome)
		}
	}
	l := c.Launch
	if l == nil {
		return found
	}
	switch {
	case l.lost() && l.Repeated.err != nil:
		found = append(found, "AWS did not say whether it launched an instance: look at the group")
	case len(l.Instances) == 0:
		found = append(found, "the launch gave no instance")
	case l.lost():
		found = append(found, "AWS answered only the repeated call")
	}
	if l.err == nil && l.Repeated != nil && !l.SameInstances {
		found = append(found, "the repeated call was answered in another way")
	}
	if l.Reading != nil && !l.Reading.Complete {
		found = append(found, "the group does not show the launch")
	}
	if l.TakenAway != nil && l.TakenAway.err != nil {
		found = append(found, "the instance was not terminated")
	}
	return found
}

var yes = map[bool]string{true: "yes", false: "no"}

func (c *Check) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Region %s\n\n%s", c.Region, table(c.Permissions))
	if l := c.Launch; l != nil {
		fmt.Fprintf(&b, "\nLaunch into %s, zone %s, client token %s\n\n%s", show.Clean(l.Group), l.Zone, l.ClientToken, table(l.calls()))
		for _, i := range l.Instances {
			fmt.Fprintf(&b, "- instance %s: %s, %s, %s\n", i.ID, i.Type, i.Market, i.Zone)
		}
		for _, e := range l.Errors {
			fmt.Fprintf(&b, "- error %s: %s %s: %s\n", e.Code, e.Type, e.Zone, show.Clean(e.Message))
		}
		if r := l.Reading; r != nil {
			fmt.Fprintf(&b, "- reading: instance and desired capacity in the first one: %s, in one within %s: %s, %.1f s after the answer\n", yes[r.AtOnce], pollFor, yes[r.Complete], r.Seconds)
		}
		if l.Kept != "" {
			fmt.Fprintf(&b, "- kept: %s\n", show.Clean(l.Kept))
		}
	}
	return b.String()
}

func table(calls []Call) string {
	var rows [][]string
	for _, c := range calls {
		milliseconds := strconv.FormatInt(c.Milliseconds, 10)
		if c.Outcome == notTried {
			milliseconds = ""
		}
		rows = append(rows, []string{c.Action, c.Outcome, c.Code, milliseconds, c.RequestID, c.Meaning})
	}
	return show.Columns([]string{"ACTION", "OUTCOME", "CODE", "MS", "REQUEST-ID", "MEANING"}, rows)
}

func (l *Launch) calls() []Call {
	calls := []Call{l.Call}
	if l.Repeated != nil {
		again := *l.Repeated
		again.Meaning = cmp.Or(again.Meaning, "the same client token. The same answer: "+yes[l.SameInstances])
		calls = append(calls, again)
	}
	if l.TakenAway != nil {
		calls = append(calls, *l.TakenAway)
	}
	return calls
}
