package process

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
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
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// They may come up later than the process, as behind an agent on the node.
func TestLeaderWaitsForTheInstanceMetadataToNameTheRegion(t *testing.T) {
	server := awsworld.NewAWS(t, nil, awsworld.Group("web", "m5.large", 0, 0, 9, nil)).AWS
	var asked atomic.Int64
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case asked.Add(1) == 1:
			http.Error(w, "not yet", http.StatusBadRequest)
		case r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
			_, _ = io.WriteString(w, "token")
		default:
			_, _ = io.WriteString(w, `{"region": "`+server.Region()+`"}`)
		}
	}))
	t.Cleanup(metadata.Close)
	for name, value := range map[string]string{"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CONFIG_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL} {
		t.Setenv(name, value)
	}
	c, err := newCloudOf(t, func(p *Process) {})
	require.NoError(t, err)
	assert.Equal(t, server.Region(), c.clients.Region)
	assert.NotNil(t, c.cache.Snapshot().Group("web"))

	asked.Store(0)
	_, err = newCloudOf(t, func(p *Process) { p.guard = dryrun.New(func(error) {}) })
	assert.ErrorContains(t, err, "--asg-region", "a dry run, want no wait")
}

// newCloudOf makes the cloud of a process that scales the group web, and that change alters.
func newCloudOf(t *testing.T, change func(*Process)) (*cloud, error) {
	factory := kubeinformers.NewSharedInformerFactory(fake.NewClientset(), 0)
	p := &Process{registerer: prometheus.NewRegistry(), catalogue: instancetypes.Embedded(),
		record: decision.New(decision.Process{}, clock.RealClock{})}
	p.decisions = p.newDecisions()
	p.core.NodeGroups, p.options.AWS.RefreshInterval = []string{"0:9:web"}, time.Minute
	change(p)
	return p.newCloud(t.Context(), t.Context(), aws.Options{Nodes: factory.Core().V1().Nodes(), DaemonSets: factory.Apps().V1().DaemonSets().Lister(),
		Event: func(_, _, _ string) {}, Problem: func(aws.Problem, bool) {}})
}

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
			c, err := newCloudOf(t, func(p *Process) {
				p.options.AWS.Region, p.options.AWS.SpotPrices = server.Region(), options.SpotPricesLive
			})
			require.NoError(t, err)
			cost, known := c.provider.Costs().NodeCost("web", nil, 1)
			assert.True(t, known && cost.Estimated != tt.want && (cost.PerHour == 0.7) == tt.want, "cost of a node %v", cost)
		})
	}
}
