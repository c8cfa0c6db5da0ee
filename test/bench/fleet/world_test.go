package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

const (
	clusterTag = "k8s.io/cluster-autoscaler/"
	shardTag   = "example.com/shard"
	ownGroups  = 10 // of each cluster
)

// A member is the AWS side of one cluster's autoscaler.
type member struct {
	name     string
	cache    *asg.Cache
	provider *aws.Provider
	started  time.Duration // until the groups were read for the first time
	oldest   time.Duration // reading that a loop saw
	launches []time.Duration
	failed   int // launches
}

// account has the groups of all clusters.
func account(clusters int, limits []fakeaws.Throttle) fakeaws.Config {
	config := fakeaws.Config{Region: "us-east-1", Throttles: limits, Latency: fakeaws.Duration(50 * time.Millisecond)}
	for c := range clusters {
		for n := range ownGroups {
			name := fmt.Sprintf("%s-%d", clusterName(c), n)
			config.LaunchTemplates = append(config.LaunchTemplates, fakeaws.LaunchTemplate{Name: name,
				Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: "m5.large"}}})
			config.AutoScalingGroups = append(config.AutoScalingGroups, fakeaws.AutoScalingGroup{Name: name, Max: 100, Desired: 1, Zones: []string{"us-east-1a"},
				Tags:           map[string]string{awsworld.EnabledTag: "true", clusterTag + clusterName(c): "owned", shardTag: fmt.Sprint(n % 2)},
				LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: name, Version: "1"}})
		}
	}
	return config
}

func clusterName(n int) string { return fmt.Sprintf("cluster-%04d", n) }

// inherit sets the environment of all clients, which a bubble cannot.
func inherit(t *testing.T) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_RETRY_MODE": "", "AWS_MAX_ATTEMPTS": "", "AWS_CA_BUNDLE": ""} {
		t.Setenv(name, value)
	}
}

// noCluster has the nodes of every cluster. Nodes do not matter to AWS.
var noCluster = informers.NewSharedInformerFactory(fake.NewClientset(), 0)

// newMember makes the clients and the Cache of an autoscaler that discovers the groups with all of the tags.
func newMember(t *testing.T, server *fakeaws.Server, name string, tags ...ownership.Tag) *member {
	clients, err := awsclient.New(t.Context(), awsclients.Options(server))
	require.NoError(t, err)
	filter := append(ownership.TagFilter{{Key: awsworld.EnabledTag}}, tags...)
	m := &member{name: name, cache: asg.NewCache(asg.Options{AutoScaling: clients.AutoScaling, Launches: launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS},
		Discovery: ownership.Discovery{Filters: []ownership.TagFilter{filter}}, RefreshInterval: *refresh, MotionInterval: 2 * time.Second,
		Clock: clock.RealClock{}, LaunchMode: asg.LaunchAuto})}
	prices := pricing.NewBook(clients.Region, time.Time{})
	m.provider = aws.New(t.Context(), aws.Options{Cache: m.cache, Region: clients.Region,
		Types: lookup.NewTypes(clients.EC2, instancetypes.Embedded(), clock.RealClock{}), EC2: clients.EC2, Nodes: noCluster.Core().V1().Nodes(),
		DaemonSets: noCluster.Apps().V1().DaemonSets().Lister(), Prices: prices, Event: func(_, _, _ string) {}, Problem: func(aws.Problem, bool) {},
		Registerer: prometheus.NewRegistry(), Clock: clock.RealClock{}})
	return m
}

// start reads the groups for the first time and then keeps them fresh in the background.
func (m *member) start(ctx context.Context, background *sync.WaitGroup) error {
	began := time.Now()
	if err := m.cache.Start(ctx); err != nil {
		return err
	}
	m.started = time.Since(began)
	background.Go(func() { _ = m.provider.Run(ctx) })
	return m.provider.Refresh()
}

// live runs a loop every ten seconds until ctx ends. In each period it grows a group by one node, and removes that node a minute later.
func (m *member) live(ctx context.Context, period time.Duration, random *rand.Rand) {
	next, remove := time.Duration(random.Int64N(int64(period))), time.Duration(-1)
	var group string
	began := time.Now()
	for rest(ctx, 10*time.Second) {
		_ = m.provider.Refresh()
		m.oldest = max(m.oldest, m.cache.Age())
		switch at := time.Since(began); {
		case remove >= 0 && at >= remove:
			m.shrink(group)
			remove = -1
		case at >= next:
			group = fmt.Sprintf("%s-%d", m.name, random.IntN(ownGroups))
			m.grow(ctx, group)
			next, remove = next+period, at+time.Minute
		}
	}
}

func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// grow asks for one node more and waits for AWS's answer.
func (m *member) grow(ctx context.Context, group string) {
	began := time.Now()
	ng := m.provider.View().NodeGroup(group)
	before, _ := ng.TargetSize()
	if ng.IncreaseSize(1) != nil || m.provider.AwaitIncreases(ctx) != nil {
		m.failed++
		return
	}
	_ = m.provider.Refresh()
	if after, _ := m.provider.View().NodeGroup(group).TargetSize(); after <= before {
		m.failed++
		return
	}
	m.launches = append(m.launches, time.Since(began))
}

// shrink removes the newest node of a group.
func (m *member) shrink(group string) {
	ng := m.provider.View().NodeGroup(group)
	instances, err := ng.Nodes()
	if err != nil || len(instances) < 2 {
		return
	}
	newest := instances[len(instances)-1].Id
	_ = ng.DeleteNodes([]*corev1.Node{awsworld.Node(newest, newest)})
}

// quantile is the value that the share q of a list does not exceed, or 0 of none.
func quantile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
