package process

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	kubeinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The first loop may have a burst of pods to place.
func TestFirstLoopGoesByLiveSpotPrices(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakeaws.Fault
		want  bool
	}{
		{"in time", fakeaws.Fault{Latency: fakeaws.Duration(300 * time.Millisecond)}, true},
		{"denied", fakeaws.Fault{Code: "UnauthorizedOperation"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := awsworld.NewAWS(t, func(c *fakeaws.Config) {
				c.Images = []fakeaws.Image{{ID: "ami-0abc"}}
				c.LaunchTemplates[0].Versions[0].Spot = true
				c.SpotPrices = []fakeaws.SpotPrice{{InstanceType: "m5.large", Zone: "cn-northwest-1a", PerHour: 0.7}}
			}, awsworld.Group("web", "m5.large", 0, 0, 9, nil)).AWS
			tt.fault.Action = "DescribeSpotPriceHistory"
			server.Inject(tt.fault)
			factory := kubeinformers.NewSharedInformerFactory(fake.NewClientset(), 0)
			p := &Process{registerer: prometheus.NewRegistry(), catalogue: instancetypes.Embedded(),
				record: decision.New(decision.Process{}, clock.RealClock{})}
			p.decisions = p.newDecisions()
			p.core.NodeGroups = []string{"0:9:web"}
			p.options.AWS.Region, p.options.AWS.SpotPrices, p.options.AWS.RefreshInterval = server.Region(), options.SpotPricesLive, time.Minute
			c, err := p.newCloud(t.Context(), t.Context(), aws.Options{Nodes: factory.Core().V1().Nodes(), DaemonSets: factory.Apps().V1().DaemonSets().Lister(),
				Event: func(_, _, _ string) {}, Problem: func(aws.Problem, bool) {}})
			require.NoError(t, err)
			cost, known := c.provider.Costs().NodeCost("web", nil, 1)
			assert.True(t, known && cost.Estimated != tt.want && (cost.PerHour == 0.7) == tt.want, "cost of a node %v", cost)
		})
	}
}
