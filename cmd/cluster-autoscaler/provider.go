package main

import (
	"context"
	"fmt"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	ca_context "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/processors/customresources"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroups"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodeinfosprovider"
	processor "k8s.io/autoscaler/cluster-autoscaler/processors/nodes"
	"k8s.io/autoscaler/cluster-autoscaler/processors/pods"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	coreinformers "k8s.io/client-go/informers/core/v1"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/userdata"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/podzone"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/expander"
	"github.com/asg-autoscaler/asg-autoscaler/expander/leastcost"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/model"
)

// cloud is all that the core is given of AWS.
type cloud struct {
	provider  cloudprovider.CloudProvider
	costs     *model.Model // what nodes and pods cost
	leastCost *leastcost.Filter
	nodeInfos nodeinfosprovider.TemplateNodeInfoProvider
	// similar has the core's comparator of node groups get along with groups that have no nodes.
	similar func(nodegroupset.NodeInfoComparator) nodegroupset.NodeInfoComparator
	// starting stands in front of the core's processor of resources that come later than their node.
	starting func(customresources.CustomResourcesProcessor) customresources.CustomResourcesProcessor
	groups   nodegroups.NodeGroupListProcessor
	// balancing and minimum have the core count the limits of a group once that is scaled zone by zone.
	balancing func(nodegroupset.NodeGroupSetProcessor) nodegroupset.NodeGroupSetProcessor
	minimum   func(processor.ScaleDownSetProcessor) processor.ScaleDownSetProcessor
	// groupName is the Auto Scaling group behind a node group.
	groupName func(nodeGroup string) string
	// interrupted tells where EC2 took spot instances back, viewRests which zonal views have no capacity.
	interrupted func(nodeGroup string) bool
	viewRests   func(nodeGroup string) bool
	// fresh stands in front of the core's choice of nodes to remove.
	fresh func(processor.ScaleDownNodeProcessor) processor.ScaleDownNodeProcessor
	// places puts pods on the nodes that leastCost planned them for.
	places pods.PodListProcessor
	// zonal keeps pods that need one zone from groups that cannot promise it; zonalFirst has them take the room there is before
	// others; zoneEvents tells their owners.
	zonal      *aws.ZonalPods
	zonalFirst *aws.ZonalFirst
	zoneEvents status.ScaleUpStatusProcessor
	cache      *asg.Cache
	clients    *awsclient.Clients
	changed    <-chan struct{}                 // receives when a loop would see something new
	run        func(ctx context.Context) error // keeps all of it fresh until ctx ends
}

// newCloud reads the Auto Scaling groups for the first time and returns what stands on them. It waits as long as AWS does not
// answer, but not beyond ctx. Writes are bounded by working instead, so that one under way when ctx ends may be finished.
func newCloud(ctx, working context.Context, core config.AutoscalingOptions, ours options.AWS, nodes coreinformers.NodeInformer,
	daemonSets appslisters.DaemonSetLister, volumes podzone.Volumes, event func(eventType, reason, message string)) (*cloud, error) {
	discovery, err := asg.ParseDiscovery(core.NodeGroups, core.NodeGroupAutoDiscovery)
	if err != nil {
		return nil, err
	}
	discovery.Join = ours.DiscoveryJoin
	cloudConfig, err := awsclient.ReadCloudConfig(core.CloudConfig)
	if err != nil {
		return nil, err
	}
	catalogue, err := readCatalogue(ours.InstanceTypes)
	if err != nil {
		return nil, err
	}
	clients, err := awsclient.New(ctx, awsclient.Options{
		Region: ours.Region, CloudConfig: cloudConfig, Version: version, Registerer: legacyregistry.Registerer(),
	})
	if err != nil {
		return nil, err
	}
	prices, err := newPrices(clients.Region, ours, catalogue, event)
	if err != nil {
		return nil, err
	}
	cache := asg.NewCache(asg.Options{
		AutoScaling:     clients.AutoScaling,
		Launches:        asg.LaunchAPIs{EC2: clients.EC2, EKS: clients.EKS, Instances: clients.EC2},
		Discovery:       discovery,
		RefreshInterval: ours.RefreshInterval,
		MotionInterval:  ours.MotionInterval,
		LaunchMode:      ours.LaunchMode,
		ZonalGroups:     ours.ZonalGroups,
		ZonalShifts:     asg.ShiftAPIs{Shifts: clients.ZonalShifts, EC2: clients.EC2},
		Clock:           clock.RealClock{},
		Types:           catalogue,

		Cluster: ours.ClusterName, StockCluster: core.ClusterName, ClusterInUserData: userdata.Cluster,
	})
	if ours.SpotPrices == options.SpotPricesLive {
		if err := prices.followSpot(clients.EC2, cache); err != nil {
			return nil, err
		}
	}
	if err := cache.Start(ctx); err != nil {
		return nil, err
	}
	awsOptions := aws.Options{
		Cache:     cache,
		Region:    clients.Region,
		Catalogue: catalogue,
		Prices:    prices.book,
		Zones:     clients.EC2,
		Offerings: clients.EC2,
		Instances: clients.EC2,

		GatherDeletions: core.NodeDeletionBatcherInterval,
		Limiter:         ca_context.NewResourceLimiterFromAutoscalingOptions(core),
		Nodes:           nodes,
		DaemonSets:      daemonSets,
		Event:           event,
		Registerer:      legacyregistry.Registerer(),
		Clock:           clock.RealClock{},
	}
	if !core.AWSUseStaticInstanceList {
		awsOptions.InstanceTypes = clients.EC2
	}
	provider, err := aws.New(working, awsOptions)
	if err != nil {
		return nil, err
	}
	zonal := aws.NewZonalPods(provider, volumes)
	leastCost := leastcost.New(provider.Costs(), expander.FailurePenalties{Failures: provider, Ratio: ours.TroublePenalty}, ours.PlanLimit, clock.RealClock{})
	return &cloud{
		provider:  provider,
		costs:     provider.Costs(),
		leastCost: leastCost,
		places:    leastCost.Places(provider.NodeGroupName),
		nodeInfos: aws.NewNodeInfos(provider, core.NodeInfoCacheExpireTime, core.ForceDaemonSets),
		starting: func(core customresources.CustomResourcesProcessor) customresources.CustomResourcesProcessor {
			return aws.NewStartingNodes(provider, core, clock.RealClock{})
		},
		similar: func(core nodegroupset.NodeInfoComparator) nodegroupset.NodeInfoComparator {
			return aws.NewSimilar(provider, core)
		},
		groups: aws.NewLaunchable(provider),
		balancing: func(core nodegroupset.NodeGroupSetProcessor) nodegroupset.NodeGroupSetProcessor {
			return aws.NewBalancing(provider, core, ours.ViewsOnly)
		},
		minimum: func(core processor.ScaleDownSetProcessor) processor.ScaleDownSetProcessor {
			return aws.NewSharedMinimum(provider, core)
		},
		groupName:   provider.GroupName,
		interrupted: provider.Interrupted,
		viewRests:   provider.ViewRests,
		fresh: func(core processor.ScaleDownNodeProcessor) processor.ScaleDownNodeProcessor {
			return aws.NewFreshCandidates(provider, core)
		},
		zonal:      zonal,
		zonalFirst: aws.NewZonalFirst(zonal),
		zoneEvents: aws.NewZoneEvents(zonal, clock.RealClock{}),
		cache:      cache,
		clients:    clients,
		changed:    provider.Changed(),
		run:        func(ctx context.Context) error { return prices.run(ctx, provider.Run) },
	}, nil
}

// readCatalogue returns the built-in list of instance types, under that of the file if there is one.
func readCatalogue(file string) (*instancetypes.Catalogue, error) {
	if file == "" {
		return instancetypes.Embedded(), nil
	}
	newer, err := instancetypes.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--aws-instance-types-file: %w", err)
	}
	return instancetypes.Embedded().With(newer.Types()...), nil
}
