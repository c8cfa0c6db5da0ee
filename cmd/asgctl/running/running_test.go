package running

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
