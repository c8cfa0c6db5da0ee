package process

import (
	"testing"

	"k8s.io/client-go/rest"
)

// A hundred instances may get their two minutes at the same moment, and the core's own client writes five times a second.
func TestInterruptionsHaveTheirOwnRate(t *testing.T) {
	for _, tt := range []struct {
		qps, wantQPS     float32
		burst, wantBurst int
	}{
		{qps: 5, burst: 10, wantQPS: 200, wantBurst: 400},
		{qps: 500, burst: 1000, wantQPS: 500, wantBurst: 1000},
	} {
		kube := &rest.Config{QPS: tt.qps, Burst: tt.burst}
		if got := forInterruptions(kube); got.QPS != tt.wantQPS || got.Burst != tt.wantBurst || kube.QPS != tt.qps {
			t.Errorf("of %v and %d: %v and %d, want %v and %d", tt.qps, tt.burst, got.QPS, got.Burst, tt.wantQPS, tt.wantBurst)
		}
	}
}
