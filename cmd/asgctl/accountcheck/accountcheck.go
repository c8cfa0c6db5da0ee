package accountcheck

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

// Check is what asgctl account prints.
type Check struct {
	Version     string  `json:"version"`
	Region      string  `json:"region"`
	Permissions []Call  `json:"permissions"`
	Launch      *Launch `json:"launch,omitempty"`
	// Report are the lines for the project. They have no account ID, ARN or name.
	Report []string `json:"report"`

	program string
	clients *awsclient.Clients
}

// New makes the read-only calls, one after the other. Program is the version of this binary.
func New(ctx context.Context, clients *awsclient.Clients, program string) *Check {
	return &Check{Version: show.Version, Region: clients.Region, Permissions: Permissions(ctx, clients), program: program, clients: clients}
}

// LaunchInto launches one instance into a group that Refusal has passed. It blocks until the group's readings show the instance, for at most a
// minute. It returns the IDs of the launched instances: one, if all is well.
func (c *Check) LaunchInto(ctx context.Context, g *group.Group) []string {
	c.Launch = launch(ctx, c.clients, g)
	return c.Launch.launched
}

// TakeAway terminates the launched instances and lowers the desired capacity with them, unless one may be a node by now.
func (c *Check) TakeAway(ctx context.Context) {
	c.Launch.takeAway(ctx, c.clients)
}

// Keep notes that the operator keeps the instance.
func (c *Check) Keep() {
	c.Launch.Kept = "as you wish. The autoscaler removes its node once it is unneeded"
}

// Findings are the facts that somebody must put right.
func (c *Check) Findings() []string {
	var found []string
	for _, p := range c.Permissions {
		if p.Fault() {
			found = append(found, p.Action+" is "+p.Outcome)
		}
	}
	l := c.Launch
	if l == nil {
		return found
	}
	if l.Outcome != allowed || len(l.Instances) == 0 {
		found = append(found, "the launch gave no instance")
	}
	if l.Repeated != nil && !l.SameInstances {
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

// Conclude words the lines for the project.
func (c *Check) Conclude() {
	lines := []string{fmt.Sprintf("asgctl %s, region %s", c.program, c.Region)}
	for _, p := range c.Permissions {
		lines = append(lines, p.line())
	}
	if c.Launch != nil {
		lines = append(lines, c.Launch.lines()...)
	}
	c.Report = nil
	for _, line := range lines {
		c.Report = append(c.Report, mask(line, c.Launch))
	}
}

func (c Call) line() string {
	if c.Outcome == notTried {
		return c.Action + ": not tried"
	}
	text := fmt.Sprintf("%s: %s", c.Action, c.Outcome)
	if c.Code != "" {
		text += " (" + c.Code + ")"
	}
	return text + fmt.Sprintf(" after %d ms", c.Milliseconds)
}

func (l *Launch) lines() []string {
	lines := []string{fmt.Sprintf("launch: %s, %d instances, %d errors", strings.TrimPrefix(l.line(), "autoscaling:"), len(l.Instances), len(l.Errors))}
	if l.err != nil {
		lines = append(lines, "launch: "+l.err.Error())
	}
	for _, i := range l.Instances {
		lines = append(lines, fmt.Sprintf("launch: instance of %s, %s, in %s", i.Type, i.Market, i.Zone))
	}
	for _, e := range l.Errors {
		lines = append(lines, fmt.Sprintf("launch: error %s of %s in %s: %s", e.Code, e.Type, e.Zone, e.Message))
	}
	if l.Repeated != nil {
		lines = append(lines, fmt.Sprintf("repeated with the same client token: %s, same answer: %s, instances launched in all: %d",
			strings.TrimPrefix(l.Repeated.line(), "autoscaling:"), yes[l.SameInstances], len(l.launched)))
	}
	if r := l.Reading; r != nil {
		text := fmt.Sprintf("reading: instance and desired capacity in the first one: %s", yes[r.AtOnce])
		switch {
		case r.Complete:
			text += fmt.Sprintf(", shown %.1f s after the answer", r.Seconds)
		default:
			text += fmt.Sprintf(", not shown within %s: %d of %d instances, desired capacity raised by %d", pollFor, r.Listed, len(l.launched), r.Desired-l.Desired)
		}
		lines = append(lines, text)
	}
	switch {
	case l.TakenAway != nil:
		lines = append(lines, "taken away: "+strings.TrimPrefix(l.TakenAway.line(), "autoscaling:"))
	case l.Kept != "":
		lines = append(lines, "kept: "+l.Kept)
	}
	return lines
}

var yes = map[bool]string{true: "yes", false: "no"}

// masks hide what belongs to the account. Quoted words are names as a rule. Long words are encoded authorization messages, which hold
// names.
var masks = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`\barn:[^\s"',]+`), "ARN"},
	{regexp.MustCompile(`\b\d{12}\b`), "ACCOUNT_ID"},
	{regexp.MustCompile(`\bA[A-Z]IA[A-Z2-7]{12,}\b`), "ACCESS_KEY"},
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`), "ADDRESS"},
	{regexp.MustCompile(`["'][^"']+["']\B`), "…"},
	{regexp.MustCompile(`\S{60,}`), "…"},
}

// ids are of things in the account.
var ids = regexp.MustCompile(`\b(i|lt|ami|subnet|sg|vol|vpc|eni|snap|r|vpce|rtb|eipalloc|cr|fleet)-[0-9a-f]{8,}\b`)

// hide masks the account in a sentence. Id returns what stands for an ID.
func hide(text string, id func(string) string) string {
	for _, m := range masks {
		text = m.pattern.ReplaceAllString(text, m.by)
	}
	return ids.ReplaceAllStringFunc(text, id)
}

// mask hides the account in a line, and the names of the launch.
func mask(line string, l *Launch) string {
	if l != nil {
		line = strings.NewReplacer(l.Group, "GROUP", l.ClientToken, "TOKEN").Replace(line)
	}
	return hide(line, func(id string) string { return ids.ReplaceAllString(id, "$1-…") })
}

// Table returns the check for people.
func (c *Check) Table() string {
	var rows []row
	for _, p := range c.Permissions {
		rows = append(rows, p.row(show.Count(p.Items).String()))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Region %s\n\n%s", c.Region, show.Rows(rows))
	if l := c.Launch; l != nil {
		fmt.Fprintf(&b, "\nLaunch into %s, zone %s, client token %s\n\n%s", show.Clean(l.Group), l.Zone, l.ClientToken, show.Rows(l.rows()))
		for _, i := range l.Instances {
			fmt.Fprintf(&b, "- instance %s: %s, %s, %s\n", i.ID, i.Type, i.Market, i.Zone)
		}
		for _, e := range l.Errors {
			fmt.Fprintf(&b, "- error %s: %s %s: %s\n", e.Code, e.Type, e.Zone, show.Clean(e.Message))
		}
		if l.Kept != "" {
			fmt.Fprintf(&b, "- kept: %s\n", show.Clean(l.Kept))
		}
	}
	b.WriteString("\nWhat to report, in an issue of the project:\n\n")
	for _, line := range c.Report {
		fmt.Fprintf(&b, "    %s\n", show.Clean(line))
	}
	return b.String()
}

// row is a row of the table: a call and its answer.
type row struct{ Action, Outcome, Code, MS, Items, RequestID, Meaning string }

func (c Call) row(items string) row {
	milliseconds := ""
	if c.Outcome != notTried {
		milliseconds = strconv.FormatInt(c.Milliseconds, 10)
	}
	return row{c.Action, c.Outcome, c.Code, milliseconds, items, c.RequestID, c.Meaning}
}

func (l *Launch) rows() []row {
	rows := []row{l.row(strconv.Itoa(len(l.Instances)))}
	if l.Repeated != nil {
		row := l.Repeated.row(strconv.Itoa(l.Repeated.Items))
		row.Meaning = cmp.Or(l.Repeated.Meaning, "the same client token. The same answer: "+yes[l.SameInstances])
		rows = append(rows, row)
	}
	if l.TakenAway != nil {
		rows = append(rows, l.TakenAway.row("1"))
	}
	return slices.Clip(rows)
}
