package nomination

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
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
	forbidden result = "forbidden" // the permission is missing, or an admission policy refuses
	failed    result = "failed"    // the API server did not accept the nomination
)

func newMetric(registerer prometheus.Registerer) *prometheus.CounterVec {
	metric := promauto.With(registerer).NewCounterVec(prometheus.CounterOpts{Namespace: "asg_autoscaler", Name: "nominations_total",
		Help: "Pods whose planned node has registered, by result: whether kube-scheduler put them there."}, []string{"result"})
	for _, r := range []result{kept, elsewhere, refused, overruled, withdrawn, gone, forbidden, failed} {
		metric.WithLabelValues(string(r))
	}
	return metric
}
