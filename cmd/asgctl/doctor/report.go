package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
)

// maxFindings bounds the findings of one check. A thousand groups with one fault are one cause.
const maxFindings = 50

const (
	Faulty     = "findings"
	Sound      = "sound"
	NotChecked = "not-checked" // nothing of it could be checked
)

// Report holds the checks that asgctl doctor prints. They have no control characters but line ends.
type Report struct {
	Version  string    `json:"version"`
	At       time.Time `json:"at"`
	Region   string    `json:"region,omitempty"`
	Cluster  string    `json:"cluster,omitempty"` // the name of the cluster and its source, "" where nothing states it
	Findings int       `json:"findings"`
	Checks   []Check   `json:"checks"` // always all of them, in the same order
}

type Check struct {
	Name     string    `json:"name"`
	Subject  string    `json:"subject"` // the facts that it judges
	Outcome  string    `json:"outcome"` // findings, sound or not-checked
	Findings []Finding `json:"findings,omitempty"`
	// Omitted counts further findings.
	Omitted    int         `json:"omittedFindings,omitempty"`
	NotChecked []Unchecked `json:"notChecked,omitempty"`

	region string // of the commands
}

type Finding struct {
	Object   string `json:"object"`   // such as Auto Scaling group "web"
	Problem  string `json:"problem"`  // the fault and its effect
	Evidence string `json:"evidence"` // how we know
	Next     string `json:"next"`     // the next command to type, or the change to make
}

// Unchecked is a part of a check that could not be done.
type Unchecked struct {
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Needs   string `json:"needs"` // a permission, a flag, or a command that does it
}

func (c *Check) find(object, problem, evidence, next string) {
	if len(c.Findings) == maxFindings {
		c.Omitted++
		return
	}
	c.Findings = append(c.Findings, Finding{Object: show.Clean(object), Problem: show.Clean(problem), Evidence: show.Clean(evidence),
		Next: show.Lines(shellword.InRegion(c.region, next), "")})
}

func (c *Check) skip(subject, reason, needs string) {
	u := Unchecked{Subject: show.Clean(subject), Reason: show.Clean(reason), Needs: show.Clean(shellword.InRegion(c.region, needs))}
	if len(c.NotChecked) < maxFindings && !slices.Contains(c.NotChecked, u) {
		c.NotChecked = append(c.NotChecked, u)
	}
}

func (r *Report) Table() string {
	var rows [][]string
	for _, c := range r.Checks {
		rows = append(rows, []string{c.Name, c.Outcome, show.Count(len(c.Findings) + c.Omitted), show.Count(len(c.NotChecked)), c.Subject})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Region %s, cluster %s\n\n%s", show.Clean(r.Region), show.Clean(r.Cluster),
		show.Columns([]string{"CHECK", "OUTCOME", "FINDINGS", "NOT-CHECKED", "SUBJECT"}, rows))
	r.tableOfFindings(&b)
	r.tableOfUnchecked(&b)
	return b.String()
}

func (r *Report) tableOfFindings(b *strings.Builder) {
	number := 0
	for _, c := range r.Checks {
		for _, f := range c.Findings {
			number++
			indent := strings.Repeat(" ", len(strconv.Itoa(number))+2)
			fmt.Fprintf(b, "\n%d. %s: %s: %s\n%sknown from: %s\n%snext: %s\n",
				number, c.Name, f.Object, f.Problem, indent, f.Evidence, indent, show.Lines(f.Next, indent))
		}
		if c.Omitted > 0 {
			fmt.Fprintf(b, "\n   %s: and %d more\n", c.Name, c.Omitted)
		}
	}
}

// tableOfUnchecked says each reason once, with everything that it kept from being checked.
func (r *Report) tableOfUnchecked(b *strings.Builder) {
	var reasons []string
	of := map[string][]string{}
	for _, c := range r.Checks {
		for _, u := range c.NotChecked {
			if of[u.Reason] == nil {
				reasons = append(reasons, u.Reason)
			}
			of[u.Reason] = append(of[u.Reason], fmt.Sprintf("  - %s: %s. It needs: %s\n", c.Name, u.Subject, u.Needs))
		}
	}
	if len(reasons) > 0 {
		b.WriteString("\nNot checked:\n\n")
	}
	for _, reason := range reasons {
		fmt.Fprintf(b, "- %s:\n%s", reason, strings.Join(of[reason], ""))
	}
}
