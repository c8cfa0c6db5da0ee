package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The database of this test has one entry that is about the product, and four that are not. So the check of the real binaries must
// find that one, and must say of every exception that nothing needs it.
func TestPlantedVulnerabilityFailsTheCheck(t *testing.T) {
	require.NoError(t, scenario.LookAtSources("../../.."))
	db, err := filepath.Abs("testdata/planted")
	require.NoError(t, err)
	err = check(t.Context(), "../../..", "file://"+db)
	require.Error(t, err, "the check passes with a planted vulnerability")
	planted := 0
	for line := range strings.SplitSeq(err.Error(), "\n") {
		switch {
		case strings.HasPrefix(line, "GO-2000-0001: k8s.io/klog/v2 ") && strings.Contains(line, "InitFlags") && strings.Contains(line, "fixed in v9.9.9"):
			planted++
		case !strings.HasSuffix(line, "remove the exception"):
			t.Errorf("unexpected: %s", line)
		}
	}
	assert.Equalf(t, 1, planted, "check = %v, want the planted vulnerability once", err)
}

func TestUnreachableDatabaseIsAnError(t *testing.T) {
	missing := (&url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "missing")}).String()
	for _, db := range []string{missing, "http://127.0.0.1:1"} {
		findings, err := scan(t.Context(), "../tools", db, "/proc/self/exe")
		assert.Truef(t, err != nil && strings.Contains(err.Error(), db),
			"scan with %s = %v, %v, want an error that names the database", db, findings, err)
	}
}

func TestOnlyADatabaseThatAnswersIsReachable(t *testing.T) {
	paths := make(chan string, 1)
	good := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path }))
	defer good.Close()
	bad := httptest.NewServer(http.NotFoundHandler())
	defer bad.Close()
	err := reachable(t.Context(), good.URL)
	assert.Truef(t, err == nil && <-paths == "/index/db.json", "reachable = %v, want a look at the index", err)
	for _, db := range []string{bad.URL, "http://127.0.0.1:1"} {
		assert.NotNilf(t, reachable(t.Context(), db), "%s counts as reachable", db)
	}
}

func TestUnexplainedFindingFails(t *testing.T) {
	found := finding{ID: "GO-2026-1", Module: "example.com/m", Version: "v1.0.0", Fixed: "v1.0.1"}
	good := exception{ID: "GO-2026-1", Module: "example.com/m", Seen: "2026-11-21", Reason: "because"}
	bare, other := good, good
	bare.Reason, other.Module = "", "example.com/n"
	for _, tt := range []struct {
		name       string
		findings   []finding
		exceptions []exception
		want       string // part of the error, empty for none
	}{
		{"explained", []finding{found}, []exception{good}, ""},
		{"unexplained", []finding{found}, nil, "fixed in v1.0.1"},
		{"another module", []finding{found}, []exception{other}, "fixed in v1.0.1"},
		{"no reason", []finding{found}, []exception{bare}, "lacks its reason"},
		{"no finding", nil, []exception{good}, "remove the exception"},
	} {
		err := judge(tt.findings, tt.exceptions)
		assert.Truef(t, (tt.want != "" || err == nil) && (tt.want == "" || err != nil && strings.Contains(err.Error(), tt.want)),
			"%s: judge = %v, want %q", tt.name, err, tt.want)
	}
}
