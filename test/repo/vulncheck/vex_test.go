package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/openvex.json")

// document is where scanners find which known vulnerabilities do no harm here.
const document = "../../../docs/openvex.json"

// A vex is an OpenVEX document (https://github.com/openvex/spec, version 0.2.0).
type vex struct {
	Context    string      `json:"@context"`
	ID         string      `json:"@id"`
	Author     string      `json:"author"`
	Timestamp  string      `json:"timestamp"`
	Version    int         `json:"version"` // rises with each change
	Statements []statement `json:"statements"`
}

type statement struct {
	Vulnerability   map[string]string `json:"vulnerability"`
	Products        []component       `json:"products"`
	Status          string            `json:"status"`
	Justification   string            `json:"justification"`
	ImpactStatement string            `json:"impact_statement"`
	Timestamp       string            `json:"timestamp"`
}

type component struct {
	ID            string      `json:"@id"`
	Subcomponents []component `json:"subcomponents,omitempty"`
}

// vexOf states each exception, for the image and for the module, with the version of the dependency that goMod requires.
func vexOf(t *testing.T, exceptions []exception, goMod []byte, version int) []byte {
	v := vex{
		Context: "https://openvex.dev/ns/v0.2.0", ID: "https://github.com/asg-autoscaler/asg-autoscaler/blob/main/docs/openvex.json",
		Author: "The asg-autoscaler maintainers", Version: version,
	}
	for _, e := range exceptions {
		required := regexp.MustCompile(`(?m)^\t` + regexp.QuoteMeta(e.Module) + ` (v\S+)`).FindSubmatch(goMod)
		require.NotNilf(t, required, "%s: go.mod does not require %s", e.ID, e.Module)
		dependency := []component{{ID: "pkg:golang/" + e.Module + "@" + string(required[1])}}
		s := statement{
			Vulnerability: map[string]string{"name": e.ID},
			Products: []component{
				{ID: "pkg:oci/asg-autoscaler?repository_url=ghcr.io%2Fasg-autoscaler%2Fasg-autoscaler", Subcomponents: dependency},
				{ID: "pkg:golang/github.com/asg-autoscaler/asg-autoscaler", Subcomponents: dependency},
			},
			Status: "not_affected", Justification: e.Justification, ImpactStatement: e.Reason, Timestamp: e.Seen + "T00:00:00Z",
		}
		v.Statements = append(v.Statements, s)
		v.Timestamp = max(v.Timestamp, s.Timestamp)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(v))
	return text.Bytes()
}

func TestOpenVEXDocument(t *testing.T) {
	var exceptions []exception
	require.NoError(t, json.Unmarshal(explained, &exceptions))
	goMod, err := os.ReadFile("../../../go.mod")
	require.NoError(t, err)
	got, err := os.ReadFile(document)
	require.Truef(t, err == nil || *update, "%v", err)
	var written struct{ Version int }
	_ = json.Unmarshal(got, &written)
	if bytes.Equal(got, vexOf(t, exceptions, goMod, written.Version)) {
		return
	}
	require.True(t, *update, "docs/openvex.json is stale, run: go test ./test/repo/vulncheck -run OpenVEX -update")
	require.NoError(t, os.WriteFile(document, vexOf(t, exceptions, goMod, written.Version+1), 0o644))
}

// OpenVEX 0.2.0 knows these words and no other.
func TestExceptionsAreJustified(t *testing.T) {
	var exceptions []exception
	require.NoError(t, json.Unmarshal(explained, &exceptions))
	for _, e := range exceptions {
		assert.Truef(t, slices.Contains([]string{"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
			"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}, e.Justification),
			"%s: the justification %q is no word of OpenVEX", e.ID, e.Justification)
	}
}
