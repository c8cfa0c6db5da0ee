package awsclient

import (
	"context"
	"time"

	"github.com/aws/smithy-go/middleware"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsmessage"
)

// requestMetric observes each call, its retries included, under the name and labels of the stock provider.
type requestMetric struct {
	duration *prometheus.HistogramVec
	now      func() time.Time
}

func newRequestMetric(registerer prometheus.Registerer, now func() time.Time) (*requestMetric, error) {
	m := &requestMetric{now: now, duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "cluster_autoscaler",
		Name:      "aws_request_duration_seconds",
		Help:      "Time taken by AWS requests, by method and status code, in seconds",
		Buckets:   []float64{0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 5, 10, 20, 30, 60},
	}, []string{"endpoint", "status"})}
	return m, registerer.Register(m.duration)
}

// attach puts the observation outermost in a client's middleware stack, so that it measures the caller's waiting time.
func (m *requestMetric) attach(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RequestMetric",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error) {
			start := m.now()
			out, metadata, err := next.HandleInitialize(ctx, in)
			m.duration.WithLabelValues(endpointLabel(middleware.GetOperationName(ctx)), statusLabel(err)).
				Observe(m.now().Sub(start).Seconds())
			return out, metadata, err
		}), middleware.Before)
}

// Calls counts the calls of one action.
type Calls struct {
	Action                 string
	All, Throttled, Failed int64 // Failed leaves the throttled ones out
}

// calls counts the calls by action, in no order.
func (m *requestMetric) calls() []Calls {
	series := make(chan prometheus.Metric)
	go func() {
		m.duration.Collect(series)
		close(series)
	}()
	byAction := map[string]*Calls{}
	for s := range series {
		var values dto.Metric
		if s.Write(&values) != nil {
			continue
		}
		action, code := "", ""
		for _, label := range values.GetLabel() {
			switch label.GetName() {
			case "endpoint":
				if action = label.GetValue(); action == endpointLabel(groupsOperation) {
					action = groupsOperation
				}
			case "status":
				code = label.GetValue()
			}
		}
		c := byAction[action]
		if c == nil {
			c = &Calls{Action: action}
			byAction[action] = c
		}
		count := int64(values.GetHistogram().GetSampleCount())
		c.All += count
		switch {
		case code == "success":
		case awsmessage.OfCode(code) == awsmessage.Throttle:
			c.Throttled += count
		default:
			c.Failed += count
		}
	}
	list := make([]Calls, 0, len(byAction))
	for _, c := range byAction {
		list = append(list, *c)
	}
	return list
}

const groupsOperation = "DescribeAutoScalingGroups"

// endpointLabel is the operation's name, except for the one operation that the stock provider counts under its paginator's
// name.
func endpointLabel(operation string) string {
	if operation == groupsOperation {
		return "DescribeAutoScalingGroupsPages"
	}
	return operation
}

// statusLabel returns "success", AWS's error code, or "error" for a call without an answer. It bounds the code, which becomes a
// label.
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
