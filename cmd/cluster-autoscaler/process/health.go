package process

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/autoscaler/cluster-autoscaler/metrics"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// health answers /health-check. The core's answer depends on its loops, and a loop needs no call to AWS to succeed. So the answer is
// 500 as well where the last reading of the groups is older than --max-failing-time, and than two times --asg-refresh-interval.
type health struct {
	*metrics.HealthCheck
	limit time.Duration
	// age returns how long ago the groups were read, zero where no restart would help. It is nil before the first reading.
	age atomic.Pointer[func() time.Duration]
}

func (p *Process) newHealth() *health {
	return &health{HealthCheck: metrics.NewHealthCheck(p.core.MaxInactivityTime, p.core.MaxFailingTime),
		limit: max(p.core.MaxFailingTime, 2*p.options.AWS.RefreshInterval)}
}

// watch has the readings count from now on.
func (h *health) watch(age func() time.Duration) { h.age.Store(&age) }

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if age := h.age.Load(); age != nil {
		if old := (*age)(); old > h.limit {
			http.Error(w, fmt.Sprintf("Error: last reading of the Auto Scaling groups %s ago", decision.Span(old.Round(time.Second))), http.StatusInternalServerError)
			return
		}
	}
	h.HealthCheck.ServeHTTP(w, r)
}

// readiness answers /readyz: 200 for a replica that stands by or autoscales, 503 with the reason for one that leads and cannot
// autoscale yet. A replica with old facts is ready, because a Service would not reach its page otherwise, and says how old they are.
// Whoever may ask does not see AWS's words. Being alive is another question, which /health-check answers.
type readiness struct {
	waiting atomic.Pointer[string]
	record  *decision.Record
}

// await makes the process not ready, for a reason that an operator can act on.
func (r *readiness) await(what string) { r.waiting.Store(&what) }

func (r *readiness) done() { r.waiting.Store(nil) }

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if what := r.waiting.Load(); what != nil {
		http.Error(w, "waiting for "+*what, http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
	if last := r.record.Reading(); last.Failure.Message != "" {
		age := decision.Span(time.Since(last.At).Round(time.Second))
		_, _ = fmt.Fprintf(w, "The facts are %s old, see /status and the log for what is in the way\n", age)
	}
}
