package nomination

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// result says how the nomination of a pod ended. It is a metric label.
type result string

const (
	kept      result = "kept"      // the pod is on the node that was launched for it
	elsewhere result = "elsewhere" // the pod is on another node
	refused   result = "refused"   // kube-scheduler did not put the pod on the node, although the node is ready, or other pods took the room
	overruled result = "overruled" // somebody else has nominated a node for the pod
	withdrawn result = "withdrawn" // the pod is planned anew, or the node is gone, late or without the pod for long
	gone      result = "gone"      // the pod is gone
	forbidden result = "forbidden" // the permission is missing
	failed    result = "failed"    // the API server did not accept the nomination
)

func newMetric(registerer prometheus.Registerer) (*prometheus.CounterVec, error) {
	metric := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "asg_autoscaler", Name: "nominations_total",
		Help: "Pods whose planned node has registered, by result: whether kube-scheduler put them there."}, []string{"result"})
	for _, r := range []result{kept, elsewhere, refused, overruled, withdrawn, gone, forbidden, failed} {
		metric.WithLabelValues(string(r))
	}
	if registerer == nil {
		return metric, nil
	}
	if err := registerer.Register(metric); err != nil {
		return nil, fmt.Errorf("register the metric of nominations: %w", err)
	}
	return metric, nil
}
