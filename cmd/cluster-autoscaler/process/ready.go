package process

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// readiness answers /readyz: 200 for a replica that stands by or autoscales, 503 with the reason for one that leads and cannot
// autoscale yet. Being alive is another question, which /health-check answers. The zero readiness is ready.
type readiness struct{ waiting atomic.Pointer[string] }

// await makes the process not ready, for a reason that an operator can act on.
func (r *readiness) await(what string) { r.waiting.Store(&what) }

// done makes the process ready.
func (r *readiness) done() { r.waiting.Store(nil) }

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if what := r.waiting.Load(); what != nil {
		http.Error(w, "waiting for "+*what, http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}
