package process

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

func TestNominationsHaveTheirOwnRate(t *testing.T) {
	p := &Process{kube: &rest.Config{Host: "http://127.0.0.1:1", QPS: 5, Burst: 10}, registerer: prometheus.NewRegistry()}
	p.options.AWS.Nominate = options.NominateOn
	opts := coreoptions.AutoscalerOptions{InformerFactory: informers.NewSharedInformerFactory(fake.NewClientset(), 0), AutoscalingKubeClients: &cacontext.AutoscalingKubeClients{}}
	nominator := p.newNominations(opts, nil, podzone.Volumes{}, plan.New(clock.RealClock{}), nil)
	assert.EqualValues(t, urgentQPS, nominator.Client.CoreV1().RESTClient().GetRateLimiter().QPS(), "nominations a second")
	for file, sentence := range map[string]string{"nominations.md": " %d a second at most, or", "scale.md": " %d patches a second,"} {
		text, err := os.ReadFile("../../../docs/" + file)
		want := fmt.Sprintf(sentence, urgentQPS)
		assert.Truef(t, err == nil && strings.Contains(string(text), want), "docs/%s does not say%q, error %v", file, want, err)
	}
}
