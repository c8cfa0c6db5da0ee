package monitoring

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dashboard is the part of Grafana's dashboard schema that dashboard.json uses, by kinds/dashboard/dashboard_kind.cue of
// github.com/grafana/grafana, read 2026-11-21. Decoding refuses other fields.
type dashboard struct {
	UID           string                    `json:"uid"`
	Title         string                    `json:"title"`
	Description   string                    `json:"description"`
	Tags          []string                  `json:"tags"`
	SchemaVersion int                       `json:"schemaVersion"`
	Version       int                       `json:"version"`
	Editable      bool                      `json:"editable"`
	GraphTooltip  int                       `json:"graphTooltip"`
	Refresh       string                    `json:"refresh"`
	Time          struct{ From, To string } `json:"time"`
	Timezone      string                    `json:"timezone"`
	Annotations   struct{ List []any }      `json:"annotations"`
	Links         []any                     `json:"links"`
	Templating    struct{ List []variable } `json:"templating"`
	Panels        []panel                   `json:"panels"`
}

type datasource struct{ Type, UID string }

type variable struct {
	Name, Label, Type, Definition, AllValue string
	Datasource                              datasource
	Query                                   any
	Refresh, Sort                           int
	Multi, IncludeAll                       bool
	Current                                 struct{ Text, Value string }
	Options                                 []any
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Collapsed                bool
	GridPos                  struct{ X, Y, W, H int }
	Datasource               datasource
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Min        *float64
			Decimals   *int
			Color      struct{ Mode string }
			Thresholds struct {
				Mode  string
				Steps []struct {
					Color string
					Value *float64
				}
			}
			Custom map[string]any
		}
		Overrides []any
	}
	Options         map[string]any
	Transformations []struct {
		ID      string
		Options map[string]any
	}
	Targets []target
	Panels  []panel
}

type target struct {
	RefID, Expr, LegendFormat, Format string
	Instant                           bool
}

// Names that Grafana knows and dashboard.json uses.
var (
	grafanaUnits     = []string{"short", "s", "none", "percentunit", "reqps"}
	grafanaPanels    = []string{"row", "stat", "timeseries", "table"}
	grafanaVariables = []string{"query", "datasource"}
	grafanaColors    = []string{"", "thresholds"}
)

func readDashboard(t *testing.T) dashboard {
	decoder := json.NewDecoder(bytes.NewReader([]byte(read(t, "manifests/monitoring/dashboard.json"))))
	decoder.DisallowUnknownFields()
	var d dashboard
	require.NoError(t, decoder.Decode(&d))
	return d
}

var variableUse = regexp.MustCompile(`\$\{?(\w+)`)

func TestDashboardHasGrafanasForm(t *testing.T) {
	d := readDashboard(t)
	assert.Truef(t, len(d.UID) >= 8 && len(d.UID) <= 40 && d.Title != "" && d.SchemaVersion >= 36 && d.GraphTooltip >= 0 && d.GraphTooltip <= 2,
		"uid %q, title %q, schema version %d, tooltip %d", d.UID, d.Title, d.SchemaVersion, d.GraphTooltip)
	defined := []string{"__rate_interval", "__all"}
	for _, v := range d.Templating.List {
		defined = append(defined, v.Name)
		assert.Truef(t, slices.Contains(grafanaVariables, v.Type), "variable %s has the type %q", v.Name, v.Type)
	}
	for _, use := range variableUse.FindAllStringSubmatch(read(t, "manifests/monitoring/dashboard.json"), -1) {
		assert.Truef(t, slices.Contains(defined, use[1]), "$%s is not defined", use[1])
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		assert.Truef(t, !ids[p.ID] && p.ID != 0, "%q has the ID %d of another panel", p.Title, p.ID)
		ids[p.ID] = true
		p.check(t)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				other := taken[[2]int{x, y}]
				require.Truef(t, other == "", "%q lies upon %q", p.Title, other)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

func (p panel) check(t *testing.T) {
	g := p.GridPos
	assert.Truef(t, g.X >= 0 && g.Y >= 0 && g.W >= 1 && g.H >= 1 && g.X+g.W <= 24, "%q is outside the 24 columns: %+v", p.Title, g)
	assert.Truef(t, slices.Contains(grafanaPanels, p.Type) && p.Title != "", "panel %d: type %q, title %q", p.ID, p.Type, p.Title)
	if p.Type == "row" {
		return
	}
	assert.Truef(t, len(p.Targets) != 0 && p.Description != "" && p.Datasource == (datasource{"prometheus", "${datasource}"}),
		"%q lacks a query, a description or the data source", p.Title)
	shown := p.FieldConfig.Defaults
	assert.Truef(t, slices.Contains(grafanaUnits, shown.Unit) && slices.Contains(grafanaColors, shown.Color.Mode),
		"%q has the unit %q and the colour mode %q", p.Title, shown.Unit, shown.Color.Mode)
	for i, step := range shown.Thresholds.Steps {
		assert.Truef(t, (i == 0) == (step.Value == nil) && (i <= 1 || *step.Value > *shown.Thresholds.Steps[i-1].Value),
			"%q: threshold %d is not above the one before it", p.Title, i)
	}
	for i, q := range p.Targets {
		assert.Truef(t, q.RefID == string(rune('A'+i)) && q.Expr != "" && (p.Type == "table") == (q.Format == "table" && q.Instant),
			"%q: query %+v", p.Title, q)
		assert.Truef(t, strings.Contains(q.Expr, "$cluster"), "%q: %s mixes clusters", p.Title, q.Expr)
	}
}

// Metrics and recorded series that the rules and the dashboard name exist. A histogram has series of other names.
func TestRulesAndDashboardNameMetricsThatExist(t *testing.T) {
	records, alerts := rules(t)
	documented := read(t, "docs/metrics.md")
	var recorded, expressions []string
	for _, r := range append(records, alerts...) {
		recorded, expressions = append(recorded, r.Record), append(expressions, r.Expr)
	}
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			expressions = append(expressions, q.Expr)
		}
	}
	names := regexp.MustCompile(`(?:asg|cluster)_autoscaler[_:][a-z0-9_:]+`)
	for _, expression := range expressions {
		for _, name := range names.FindAllString(expression, -1) {
			family := regexp.MustCompile(`_seconds_(bucket|count|sum)$`).ReplaceAllString(name, "_seconds")
			assert.Truef(t, slices.Contains(recorded, name) || strings.Contains(documented, "| `"+family+"` |"),
				"%s, named in %s, does not exist", name, expression)
			assert.NotEqual(t, "cluster_autoscaler_unremovable_nodes_count", name, "the core's reasons are numbers, and keep their last value once no node has them")
		}
	}
}
