package fakeaws

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Shapes of the zonal shift API of Amazon Application Recovery Controller (REST JSON, version 2022-10-30).
type (
	xmlImpairmentPolicy struct {
		ZonalShiftEnabled bool   `xml:"ZonalShiftEnabled"`
		Behavior          string `xml:"ImpairedZoneHealthCheckBehavior"`
	}
	managedResources struct {
		Items []managedResource `json:"items"`
	}
	managedResource struct {
		ARN         string       `json:"arn"`
		Name        string       `json:"name"`
		Zones       []string     `json:"availabilityZones"` // IDs
		ZonalShifts []zonalShift `json:"zonalShifts"`
		Autoshifts  []zonalShift `json:"autoshifts"`
	}
	zonalShift struct {
		AppliedStatus string `json:"appliedStatus"`
		AwayFrom      string `json:"awayFrom"` // ID of a zone
		StartTime     int64  `json:"startTime"`
		ExpiryTime    int64  `json:"expiryTime,omitempty"`
	}
)

// zonalShiftAction is the action of method and path. An action that is not served is named by them.
func zonalShiftAction(r *http.Request) string {
	if r.Method == http.MethodGet && r.URL.Path == "/managedresources" {
		return "ListManagedResources"
	}
	return r.Method + " " + r.URL.Path
}

// listManagedResources answers with the groups whose policy enables zonal shift, and with the EKS clusters that are shifted, on one page.
func (a *account) listManagedResources(*request) (any, error) {
	out := managedResources{Items: []managedResource{}}
	for _, g := range a.groups {
		if g.ZonalShift {
			out.Items = append(out.Items, a.shiftable(g.arn, g.Name, g.Zones, g.ShiftedZones, g.AutoshiftZones))
		}
		if name := g.Tags["eks:cluster-name"]; len(g.ClusterShiftedZones) > 0 {
			arn := "arn:" + a.partition + ":eks:" + a.region + ":" + a.id + ":cluster/" + name
			out.Items = append(out.Items, a.shiftable(arn, name, g.Zones, g.ClusterShiftedZones, nil))
		}
	}
	slices.SortFunc(out.Items, func(x, y managedResource) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

func (a *account) shiftable(arn, name string, zones, shifted, autoshifted []string) managedResource {
	m := managedResource{ARN: arn, Name: name, ZonalShifts: []zonalShift{}, Autoshifts: []zonalShift{}}
	now := time.Now()
	for _, zone := range zones {
		id := zoneID(a.region, zone)
		m.Zones = append(m.Zones, id)
		if slices.Contains(shifted, zone) {
			m.ZonalShifts = append(m.ZonalShifts, zonalShift{AppliedStatus: "APPLIED", AwayFrom: id, StartTime: now.Unix(),
				ExpiryTime: now.Add(time.Hour).Unix()})
		}
		if slices.Contains(autoshifted, zone) {
			m.Autoshifts = append(m.Autoshifts, zonalShift{AppliedStatus: "APPLIED", AwayFrom: id, StartTime: now.Unix()})
		}
	}
	return m
}
