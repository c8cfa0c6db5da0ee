package fakeaws

import (
	"fmt"
	"slices"
	"time"
)

// A plannedAction is a ScheduledAction that is to come.
type plannedAction struct {
	Deed
	name string
	at   time.Time
}

// scheduled are all actions that are to come, by name, and how many there have been.
type scheduled struct {
	planned []*plannedAction
	count   int
}

// announceAction lists a ScheduledAction until the function is called that it returns.
func (a *account) announceAction(d Deed, in time.Duration) (carriedOut func()) {
	all := &a.scheduled
	all.count++
	p := &plannedAction{d, fmt.Sprintf("action-%06d", all.count), time.Now().Add(in)}
	all.planned = append(all.planned, p)
	return func() { all.planned = slices.DeleteFunc(all.planned, func(o *plannedAction) bool { return o == p }) }
}

type xmlScheduledAction struct {
	Group     string `xml:"AutoScalingGroupName"`
	Name      string `xml:"ScheduledActionName"`
	StartTime string `xml:"StartTime"`
	Time      string `xml:"Time"`
	Min       *int   `xml:"MinSize,omitempty"`
	Max       *int   `xml:"MaxSize,omitempty"`
	Desired   *int   `xml:"DesiredCapacity,omitempty"`
}

// describeScheduledActions answers with the actions of one group or of all that are to come. Those that come again have no recurrence, and are listed
// with their next time.
func (a *account) describeScheduledActions(r *request) (any, error) {
	limit, err := records(r.form, defaultRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	name := r.form.get("AutoScalingGroupName")
	found := slices.DeleteFunc(slices.Clone(a.scheduled.planned), func(p *plannedAction) bool { return name != "" && p.Group != name })
	found, next, ok := page(found, func(p *plannedAction) string { return p.name }, r.form.get("NextToken"), limit)
	if !ok {
		return nil, badToken
	}
	var out struct {
		Actions   members[xmlScheduledAction] `xml:"ScheduledUpdateGroupActions"`
		NextToken string                      `xml:"NextToken,omitempty"`
	}
	for _, p := range found {
		at := timestamp(p.at.Add(a.skew))
		out.Actions.Member = append(out.Actions.Member, xmlScheduledAction{Group: p.Group, Name: p.name, StartTime: at, Time: at,
			Min: p.Min, Max: p.Max, Desired: p.Desired})
	}
	out.NextToken = next
	return out, nil
}
