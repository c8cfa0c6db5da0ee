package show

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

func TestTextFromOutsideStaysInItsCell(t *testing.T) {
	want := "A            B\nx\ufffdy\ufffd\ufffd[31mz   -\np            q\n"
	assert.Equal(t, want, Columns([]string{"A", "B"}, [][]string{{"x\ty\n\x1b[31mz", ""}, {"p", "q"}}), "table")
}

func TestEveryFormatPrintsTheSame(t *testing.T) {
	type result struct {
		Version string `json:"version"`
		Command string `json:"command"`
	}
	table := func() string { return "table\n" }
	for format, want := range map[Format]string{
		Table: "table\n",
		JSON:  "{\n  \"version\": \"v1\",\n  \"command\": \"a > b\"\n}\n",
		YAML:  "command: a > b\nversion: v1\n",
	} {
		var b bytes.Buffer
		err := Print(&b, format, result{Version, "a > b"}, table)
		assert.Truef(t, err == nil && b.String() == want, "%s: %q, %v, want %q", format, b.String(), err, want)
	}
}

func TestNoFormatPrintsControlCharacters(t *testing.T) {
	const text = "a\x1b[31mb\u009b31mc\x7f\u0085d"
	for _, format := range []Format{JSON, YAML} {
		var b bytes.Buffer
		require.NoError(t, Print(&b, format, map[string]string{"text": text}, nil))
		if at := strings.IndexFunc(b.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); at >= 0 {
			t.Errorf("%s prints %q", format, b.String()[at:])
		}
		var got map[string]string
		err := yaml.Unmarshal(b.Bytes(), &got)
		assert.Truef(t, err == nil && got["text"] == text, "%s is read as %q, %v", format, got["text"], err)
	}
}

func TestAnOutputThatBreaksIsAnError(t *testing.T) {
	reader, broken := io.Pipe()
	require.NoError(t, reader.Close())
	for _, f := range []Format{Table, JSON, YAML} {
		table := func() string { return Columns([]string{"A"}, nil) }
		assert.Errorf(t, Print(broken, f, map[string]string{"a": "b"}, table), "%s: no error", f)
	}
}

func TestPartsOfAReportStateTheirVersion(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)
	r := &decision.Report{At: at, Spend: decision.Spend{Currency: "CNY", Consolidation: &decision.Consolidation{Saved: 1}}, Shadow: &decision.Shadow{Waiting: 2}}
	part := func(answer any, _ string) any { return answer }
	for _, tt := range []struct {
		part any
		want string
	}{
		{part(MovesOf(r)), `{"version": "v1", "at": "2026-11-25T09:30:00Z", "nodes": []}`},
		{part(PlanOf(r)), `{"version": "v1", "at": "2026-11-25T09:30:00Z", "currency": "CNY", "plans": null, "savedPerHour": 1}`},
		{part(PlanOf(&decision.Report{At: at})), `{"version": "v1", "at": "2026-11-25T09:30:00Z"}`},
		{part(ShadowOf(r)), `{"version": "v1", "at": "2026-11-25T09:30:00Z", "currency": "CNY", "podsWaiting": 2, "writesRefused": 0, "days": null, "comparisons": null}`},
	} {
		var printed bytes.Buffer
		require.NoError(t, Print(&printed, JSON, tt.part, nil))
		assert.JSONEq(t, tt.want, printed.String())
	}
}
