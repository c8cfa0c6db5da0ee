package awsclient

import (
	"context"
	"sync"
	"time"

	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// requestMetric observes each call, its retries included, under the name and labels of the stock provider.
type requestMetric struct {
	duration *prometheus.HistogramVec

	mu    sync.Mutex
	calls map[string]Calls // by action, guarded by mu
}

func newRequestMetric(registerer prometheus.Registerer) *requestMetric {
	return &requestMetric{calls: map[string]Calls{}, duration: promauto.With(registerer).NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "cluster_autoscaler",
		Name:      "aws_request_duration_seconds",
		Help:      "Time taken by AWS requests, by method and status code, in seconds",
		Buckets:   []float64{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 5, 10, 20, 30, 60},
	}, []string{"endpoint", "status"})}
}

// attach puts the observation outermost in a client's middleware stack, so that it measures the caller's waiting time.
func (m *requestMetric) attach(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RequestMetric",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error) {
			start := time.Now()
			out, metadata, err := next.HandleInitialize(ctx, in)
			m.observe(middleware.GetOperationName(ctx), time.Since(start), err)
			return out, metadata, err
		}), middleware.Before)
}

type Calls struct {
	Action                 string
	All, Throttled, Failed int64 // Failed leaves the throttled ones out
}

func (m *requestMetric) observe(action string, took time.Duration, err error) {
	endpoint := action
	if action == "DescribeAutoScalingGroups" {
		endpoint += "Pages" // the stock provider counts this one under its paginator's name
	}
	m.duration.WithLabelValues(endpoint, statusLabel(err)).Observe(took.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[action]
	c.Action = action
	c.All++
	switch {
	case err == nil:
	case IsThrottled(err):
		c.Throttled++
	default:
		c.Failed++
	}
	m.calls[action] = c
}

// statusLabel returns "success", AWS's error code, or "error" for a call without an answer. It bounds the code, which becomes a label.
func statusLabel(err error) string {
	if err == nil {
		return "success"
	}
	code := Code(err)
	if code == "" || len(code) > 64 {
		return "error"
	}
	return code
}
