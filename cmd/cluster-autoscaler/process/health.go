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
