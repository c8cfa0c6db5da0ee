package scaledown

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
)

func TestLongSearchRests(t *testing.T) {
	ctx := &cacontext.AutoscalingContext{AutoscalingOptions: config.AutoscalingOptions{ScanInterval: 10 * time.Second}}
	for took, rest := range map[time.Duration]time.Duration{time.Millisecond: 10 * time.Second, 5 * time.Second: 95 * time.Second} {
		c := &Consolidation{Reason: &move.Consolidate{}, made: make(chan search, 1)}
		c.made <- search{took: took}
		c.consider(ctx, nil, nil, true, false, start)
		assert.Equalf(t, start.Add(rest), c.next, "the next search after one of %s", took)
		c.consider(ctx, nil, nil, true, false, start.Add(rest-time.Second))
		assert.Nilf(t, c.made, "a search after one of %s", took)
	}
}
