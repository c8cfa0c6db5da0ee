package process

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreoptions "k8s.io/autoscaler/cluster-autoscaler/core/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/plan"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

func TestNominationsHaveTheirOwnRate(t *testing.T) {
	p := &Process{kube: &rest.Config{Host: "http://127.0.0.1:1", QPS: 5000, Burst: 5000}, registerer: prometheus.NewRegistry()}
	p.options.AWS.Nominate = options.NominateOn
	opts := coreoptions.AutoscalerOptions{InformerFactory: informers.NewSharedInformerFactory(fake.NewClientset(), 0), AutoscalingKubeClients: &cacontext.AutoscalingKubeClients{}}
	nominator, err := p.newNominations(opts, nil, plan.New(clock.RealClock{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if qps := nominator.Client.CoreV1().RESTClient().GetRateLimiter().QPS(); qps != nominationQPS {
		t.Errorf("%v nominations a second, want %d", qps, nominationQPS)
	}
	for file, sentence := range map[string]string{"nominations.md": " %d a second at most,", "scale.md": " %d patches a second,"} {
		text, err := os.ReadFile("../../../docs/" + file)
		if want := fmt.Sprintf(sentence, nominationQPS); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("docs/%s does not say%q, error %v", file, want, err)
		}
	}
}
