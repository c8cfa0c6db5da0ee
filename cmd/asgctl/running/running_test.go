package running

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReportOfFile(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string // want is the end of the error
	}{
		{"this version", `{"version": "v1", "process": {"cluster": "prod"}}`, ""},
		{"another version", `{"version": "v2"}`, `has version "v2", and this asgctl reads "v1": take asgctl of the autoscaler's release`},
		{"another document", `[]`, "cannot unmarshal array into Go value of type decision.Report"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "status.json")
			require.NoError(t, os.WriteFile(path, []byte(tt.text), 0o600))
			a, err := Open(Options{File: path})
			require.NoError(t, err)
			report, err := a.Report(t.Context())
			switch {
			case tt.want == "" && (err != nil || report.Process.Cluster != "prod"):
				t.Errorf("report %+v, error %v", report, err)
			case tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReportOfURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status.json" || r.Header.Get("Sec-Fetch-Site") != "none" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"version": "v1", "process": {"cluster": "prod"}}`))
	}))
	defer server.Close()
	for _, suffix := range []string{"", "/", "/status.json"} {
		a, err := Open(Options{URL: server.URL + suffix})
		require.NoError(t, err)
		report, err := a.Report(t.Context())
		assert.Truef(t, err == nil && report.Process.Cluster == "prod", "%q: report %+v, error %v", suffix, report, err)
	}
	a, err := Open(Options{URL: server.URL + "/elsewhere"})
	require.NoError(t, err)
	_, err = a.Report(t.Context())
	assert.Truef(t, err != nil && strings.HasSuffix(err.Error(), "/elsewhere/status.json answered 404 Not Found"), "error %v", err)
}

func TestSourcesExcludeEachOther(t *testing.T) {
	_, err := Open(Options{URL: "http://127.0.0.1:8085", File: "status.json"})
	assert.Error(t, err, "Open takes a URL and a file")
}
