package fakeaws

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

type (
	ec2StatusDetail struct {
		Name   string `xml:"name"`
		Status string `xml:"status"`
	}
	ec2StatusSummary struct {
		Status  string                 `xml:"status"`
		Details items[ec2StatusDetail] `xml:"details"`
	}
	ec2Status struct {
		InstanceID string           `xml:"instanceId"`
		Zone       string           `xml:"availabilityZone"`
		State      ec2State         `xml:"instanceState"`
		System     ec2StatusSummary `xml:"systemStatus"`
		Instance   ec2StatusSummary `xml:"instanceStatus"`
	}
	ec2Statuses struct {
		ec2Header
		Statuses  items[ec2Status] `xml:"instanceStatusSet"`
		NextToken string           `xml:"nextToken,omitempty"`
	}
	ec2Console struct {
		ec2Header
		InstanceID string `xml:"instanceId"`
		Timestamp  string `xml:"timestamp"`
		Output     string `xml:"output,omitempty"` // in base64
	}
)

// maxStatusIDs is the most instances that DescribeInstanceStatus takes by ID (EC2 API reference).
const maxStatusIDs = 100

// describeInstanceStatus serves no filters. As in EC2, it shows running instances alone unless all are included.
func (a *account) describeInstanceStatus(r *request) (any, error) {
	if _, err := ec2Filters(r.form); err != nil {
		return nil, err
	}
	if _, err := ec2Page(r.form, 5, 1000, 1000); err != nil {
		return nil, err
	}
	ids, all := r.form.list("InstanceId"), r.form.get("IncludeAllInstances") == "true"
	if len(ids) > maxStatusIDs || len(ids) > 0 && r.form.has("MaxResults") {
		return nil, &apiError{Code: "InvalidParameterCombination", Message: fmt.Sprintf("%d instances by ID, and a page size: want at most %d and no size", len(ids), maxStatusIDs)}
	}
	if len(ids) == 0 {
		ids = slices.Sorted(maps.Keys(a.instances))
	}
	found, err := a.instancesNamed(ids)
	if err != nil {
		return nil, err
	}
	out := &ec2Statuses{}
	for _, i := range found {
		if s := a.statusShape(i); all || s.State.Name == "running" {
			out.Statuses.Item = append(out.Statuses.Item, s)
		}
	}
	return out, nil
}

// instancesNamed returns the instances, or EC2's error for the unknown among them.
func (a *account) instancesNamed(ids []string) (found []*instance, err error) {
	var unknown []string
	for _, id := range ids {
		switch i := a.instances[id]; {
		case !strings.HasPrefix(id, "i-"):
			return nil, &apiError{Code: "InvalidInstanceID.Malformed", Message: fmt.Sprintf("Invalid id: %q", id)}
		case i == nil:
			unknown = append(unknown, id)
		default:
			found = append(found, i)
		}
	}
	switch len(unknown) {
	case 0:
		return found, nil
	case 1:
		return nil, &apiError{Code: "InvalidInstanceID.NotFound", Message: "The instance ID '" + unknown[0] + "' does not exist"}
	}
	return nil, &apiError{Code: "InvalidInstanceID.NotFound", Message: "The instance IDs '" + strings.Join(unknown, ", ") + "' do not exist"}
}

func (a *account) statusShape(i *instance) ec2Status {
	s := ec2Status{InstanceID: i.id, Zone: i.pool.zone, State: i.ec2State()}
	for name, summary := range map[string]*ec2StatusSummary{"system": &s.System, "instance": &s.Instance} {
		switch {
		case s.State.Name != "running":
			summary.Status = "not-applicable"
			continue
		case i.group.Impaired == name || i.group.Impaired == "system" && name == "instance":
			summary.Status = "impaired"
			summary.Details.Item = []ec2StatusDetail{{"reachability", "failed"}}
		default:
			summary.Status = "ok"
			summary.Details.Item = []ec2StatusDetail{{Name: "reachability", Status: "passed"}}
		}
	}
	return s
}

// xen has some of the families of instance types without Nitro.
var xen = []string{"c3", "c4", "d2", "g3", "i3", "m3", "m4", "p2", "p3", "r3", "r4", "t2", "x1"}

// getConsoleOutput answers with the group's Console for each of its instances. EC2 has the latest output of instances with Nitro alone.
func (a *account) getConsoleOutput(r *request) (any, error) {
	found, err := a.instancesNamed([]string{r.form.get("InstanceId")})
	if err != nil {
		return nil, err
	}
	if family, _, _ := strings.Cut(found[0].pool.instanceType, "."); r.form.get("Latest") == "true" && slices.Contains(xen, family) {
		return nil, &apiError{Code: "UnsupportedOperation", Message: "This instance type does not support retrieving the latest console logs. Only supported on Nitro."}
	}
	return &ec2Console{InstanceID: found[0].id, Timestamp: timestamp(time.Now()),
		Output: base64.StdEncoding.EncodeToString([]byte(found[0].group.Console))}, nil
}

// listAccessEntries knows the clusters that the Config names. Its pages have one entry, so that nobody forgets the others.
func (a *account) listAccessEntries(r *request) (any, error) {
	entries, known := a.accessEntries[r.path[1]]
	if !known {
		return nil, &apiError{Code: "ResourceNotFoundException", Message: "No cluster found for name: " + r.path[1] + ".", Status: http.StatusNotFound}
	}
	at := max(0, slices.Index(entries, r.form.get("nextToken")))
	out := map[string]any{"accessEntries": entries[at:min(len(entries), at+1)]}
	if at+1 < len(entries) {
		out["nextToken"] = entries[at+1]
	}
	return out, nil
}
