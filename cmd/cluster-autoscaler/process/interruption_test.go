package process

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodemeta"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
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
		p := &Process{kube: &rest.Config{Host: "http://127.0.0.1:1", QPS: tt.qps, Burst: tt.burst}, registerer: prometheus.NewRegistry()}
		opts := coreoptions.AutoscalerOptions{InformerFactory: informers.NewSharedInformerFactory(fake.NewClientset(), 0)}
		handler, _ := p.newInterruptions(opts, &cloud{clients: &awsclient.Clients{}}, nil)
		if got := urgent(p.kube); got.Burst != tt.wantBurst || p.kube.QPS != tt.qps {
			t.Errorf("of %d: a burst of %d, want %d, and the core's own rate %v, want %v", tt.burst, got.Burst, tt.wantBurst, p.kube.QPS, tt.qps)
		}
		for _, client := range []kubernetes.Interface{handler.Cordons, handler.Client} {
			assert.Equalf(t, tt.wantQPS, client.CoreV1().RESTClient().GetRateLimiter().QPS(), "of %v calls a second", tt.qps)
		}
	}
}

// A spot warning would end the instance under the pods of such a node.
func TestInterruptionsSpareANodeWithoutEC2sProviderID(t *testing.T) {
	w := awsworld.New(t, nil, awsworld.Group("g", "m5.large", 0, 1, 5, nil))
	w.Cluster.Put(t, awsworld.Node("server-1", "k3s://server-1"))
	p := &Process{kube: &rest.Config{Host: "http://127.0.0.1:1"}, registerer: prometheus.NewRegistry()}
	opts := coreoptions.AutoscalerOptions{InformerFactory: informers.NewSharedInformerFactory(fake.NewClientset(), 0)}
	handler, _ := p.newInterruptions(opts, &cloud{clients: &awsclient.Clients{}, provider: w.Provider}, nil)
	cause, remedy := handler.Elsewhere(nodemeta.InstanceOf(w.Nodes("g")[0]))
	assert.Contains(t, cause, `it may be node "server-1"`)
	assert.NotEmpty(t, remedy)
}
