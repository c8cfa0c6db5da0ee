package process

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

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
