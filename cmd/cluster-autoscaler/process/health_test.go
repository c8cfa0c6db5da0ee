package process

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
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

func TestReadinessSaysHowOldFactsAre(t *testing.T) {
	r := &readiness{record: decision.New(decision.Process{}, clock.RealClock{})}
	check := func(when string, wantCode int, want string) {
		t.Helper()
		answer := httptest.NewRecorder()
		r.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
		assert.Truef(t, answer.Code == wantCode && regexp.MustCompile(want).MatchString(answer.Body.String()),
			"%s: %d %q, want %d %q", when, answer.Code, answer.Body, wantCode, want)
	}
	check("on stand-by", http.StatusOK, `^ok\n$`)
	r.await("the groups")
	r.record.SetReading(decision.Reading{Failure: decision.Reason{Message: "AWS denies it"}})
	check("before the first reading", http.StatusServiceUnavailable, `^waiting for the groups\n$`)
	r.done()
	r.record.SetReading(decision.Reading{At: time.Now().Add(-4 * time.Minute)})
	check("after a reading, or one that failed", http.StatusOK, `^ok\n$`)
	r.record.SetReading(decision.Reading{At: time.Now().Add(-4 * time.Minute), Failure: decision.Reason{Message: "AWS denies it to arn:aws:iam::1:role/r"}})
	check("after two that failed", http.StatusOK, `^ok\nThe facts are 4m\d*s? old, see /status and the log for what is in the way\n$`)
}
