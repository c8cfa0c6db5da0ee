package process

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/metrics"
)

func TestHealthNeedsAReading(t *testing.T) {
	h := &health{HealthCheck: metrics.NewHealthCheck(time.Hour, time.Hour), limit: 15 * time.Minute}
	get := func() (int, string) {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/health-check", nil))
		return recorder.Code, recorder.Body.String()
	}
	if code, body := get(); code != http.StatusOK {
		t.Errorf("before the first reading: %d %s, want 200", code, body)
	}
	age := 14 * time.Minute
	h.watch(func() time.Duration { return age })
	if code, body := get(); code != http.StatusOK {
		t.Errorf("with a reading of %v ago: %d %s, want 200", age, code, body)
	}
	age = 16 * time.Minute
	if code, body := get(); code != http.StatusInternalServerError || !strings.Contains(body, "16m ago") {
		t.Errorf("with a reading of %v ago: %d %s, want 500 that names its age", age, code, body)
	}
}
