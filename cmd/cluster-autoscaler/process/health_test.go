package process

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHealthNeedsAReading(t *testing.T) {
	for _, tt := range []struct {
		name     string
		interval time.Duration // of readings
		age      time.Duration // of the last one, 0 before the first
		want     string        // in the answer if it is 500
	}{
		{"before the first reading", time.Minute, 0, ""},
		{"fresh enough", time.Minute, 14 * time.Minute, ""},
		{"too old", time.Minute, 16 * time.Minute, "16m ago"},
		{"between rare readings", 20 * time.Minute, 39 * time.Minute, ""},
		{"rare readings that fail", 20 * time.Minute, 41 * time.Minute, "41m ago"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Process{}
			p.core.MaxInactivityTime, p.core.MaxFailingTime, p.options.AWS.RefreshInterval = time.Hour, 15*time.Minute, tt.interval
			h := p.newHealth()
			if tt.age > 0 {
				h.watch(func() time.Duration { return tt.age })
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/health-check", nil))
			want := http.StatusOK
			if tt.want != "" {
				want = http.StatusInternalServerError
			}
			assert.Equal(t, want, answer.Code, answer.Body)
			assert.Contains(t, answer.Body.String(), tt.want)
		})
	}
}
