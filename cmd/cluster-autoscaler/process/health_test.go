package process

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/autoscaler/cluster-autoscaler/metrics"
)

func TestHealthNeedsAReading(t *testing.T) {
	h := &health{HealthCheck: metrics.NewHealthCheck(time.Hour, time.Hour), limit: 15 * time.Minute}
	get := func() (int, string) {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/health-check", nil))
		return recorder.Code, recorder.Body.String()
	}
	code, body := get()
	assert.Equalf(t, http.StatusOK, code, "before the first reading: %s, want 200", body)
	age := 14 * time.Minute
	h.watch(func() time.Duration { return age })
	code, body = get()
	assert.Equalf(t, http.StatusOK, code, "with a reading of %v ago: %s, want 200", age, body)
	age = 16 * time.Minute
	if code, body := get(); code != http.StatusInternalServerError || !strings.Contains(body, "16m ago") {
		t.Errorf("with a reading of %v ago: %d %s, want 500 that names its age", age, code, body)
	}
}
