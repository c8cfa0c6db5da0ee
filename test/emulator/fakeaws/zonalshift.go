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

// listManagedResources answers with the groups whose policy enables zonal shift, on one page.
func (a *account) listManagedResources(*request) (any, error) {
	out := managedResources{Items: []managedResource{}}
	for _, g := range a.groups {
		if !g.ZonalShift {
			continue
		}
		m := managedResource{ARN: g.arn, Name: g.Name, ZonalShifts: []zonalShift{}, Autoshifts: []zonalShift{}}
		now := time.Now()
		for _, zone := range g.Zones {
			id := zoneID(a.region, zone)
			m.Zones = append(m.Zones, id)
			if slices.Contains(g.ShiftedZones, zone) {
				m.ZonalShifts = append(m.ZonalShifts, zonalShift{AppliedStatus: "APPLIED", AwayFrom: id, StartTime: now.Unix(),
					ExpiryTime: now.Add(time.Hour).Unix()})
			}
			if slices.Contains(g.AutoshiftZones, zone) {
				m.Autoshifts = append(m.Autoshifts, zonalShift{AppliedStatus: "APPLIED", AwayFrom: id, StartTime: now.Unix()})
			}
		}
		out.Items = append(out.Items, m)
	}
	slices.SortFunc(out.Items, func(x, y managedResource) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}
