package process

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/userdata"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/informers"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/spotprice"
)

// cloud is AWS as the core and the adapters see it.
type cloud struct {
	clients  *awsclient.Clients
	types    *lookup.Types
	prices   *pricing.Book
	spot     *spotprice.Reader             // nil without --asg-spot-prices=live
	keep     []func(context.Context) error // what keeps all of it fresh, each until its context ends
	cache    *asg.Cache
	provider *aws.Provider
}

// regionPatience bounds the time between tries to learn the region from the instance metadata, which may not answer yet. The last try follows a pause
// of half of it, up to a minute after the first.
const regionPatience = 30 * time.Second

// newCloud reads the Auto Scaling groups for the first time. The cluster is in the options given. It waits as long as AWS does not answer,
// but not beyond ctx. Writes are bounded by working instead, so that a write under way when ctx ends may be finished.
func (p *Process) newCloud(ctx, working context.Context, in aws.Options) (*cloud, error) {
	core, ours := p.core, p.options.AWS
	var err error
	c := &cloud{}
	for pause := time.Second; ; pause *= 2 {
		c.clients, err = awsclient.New(ctx, awsclient.Options{
			Region: ours.Region, CloudConfig: p.cloudConfig, Version: p.version, Registerer: p.registerer, Middleware: p.middleware,
		})
		if !errors.Is(err, awsclient.ErrNoRegion) || p.guard != nil || ctx.Err() != nil || pause > regionPatience {
			break // another replica may know it
		}
		klog.FromContext(ctx).Error(err, "Nothing names the region, trying again", "in", pause)
		_ = awsclient.Pause(ctx, clock.RealClock{}, pause) // the next try ends with ctx
	}
	if err != nil {
		return nil, err
	}
	if ours.Region == "" {
		klog.FromContext(ctx).Info("No flag names the region", "region", c.clients.Region, "source", c.clients.RegionFrom)
	}
	in.SpendCaps, _ = aws.ParseSpendCaps(ours.SpendCaps) // check has refused wrong ones
	if err := p.newPrices(c, in.Event); err != nil {
		return nil, err
	}
	var unknown lookup.TypesAPI
	if !core.AWSUseStaticInstanceList {
		unknown = c.clients.EC2
	}
	c.types = lookup.NewTypes(unknown, p.catalogue, clock.RealClock{})
	c.cache = p.newCache(c)
	if ours.SpotPrices == options.SpotPricesLive {
		c.spot = spotprice.New(spotprice.Options{
			API: c.clients.EC2, Book: c.prices, InUse: func() spotprice.Pools { return spotprice.InUse(c.cache.Snapshot().Groups()) },
			Clock: clock.RealClock{}, Registerer: p.registerer,
		})
		c.keep = append(c.keep, c.spot.Run)
	}
	if err := c.cache.Start(ctx); err != nil {
		return nil, err
	}
	if c.spot != nil {
		c.spot.ReadFirst(ctx)
	}
	c.provider = p.newProvider(working, c, in)
	c.keep = append(c.keep, c.provider.Run)
	return c, nil
}

// newPrices makes the price book of the region with the prices of --asg-price-file, and what keeps these true. It makes no call.
func (p *Process) newPrices(c *cloud, event func(eventType, reason, message string)) error {
	c.prices = pricing.NewBook(c.clients.Region, time.Now())
	measureListAge(c.prices, p.registerer)
	if p.options.AWS.PriceFile == "" {
		return nil
	}
	watcher, err := pricefile.New(pricefile.Options{
		Path: p.options.AWS.PriceFile, Book: c.prices, Known: p.catalogue.Names, Event: event, Clock: clock.RealClock{}, Registerer: p.registerer,
	})
	if err != nil {
		return fmt.Errorf("--asg-price-file: %w", err)
	}
	c.keep = append(c.keep, watcher.Run)
	return nil
}

func measureListAge(book *pricing.Book, registerer prometheus.Registerer) {
	promauto.With(registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "asg_autoscaler", Name: "price_list_age_seconds",
		Help: "Age of the list of on-demand prices in use, of --asg-price-file or else the built-in one, in seconds.",
	}, func() float64 { return time.Since(book.ListDate()).Seconds() })
}

func (p *Process) newCache(c *cloud) *asg.Cache {
	core, ours := p.core, p.options.AWS
	discovery, _ := ownership.ParseDiscovery(core.NodeGroups, core.NodeGroupAutoDiscovery) // check has refused wrong ones
	discovery.Join, discovery.Assumed = ours.DiscoveryJoin, p.assumed
	o := asg.Options{
		AutoScaling: c.clients.AutoScaling, Actions: c.clients.AutoScaling, Instances: c.clients.EC2,
		Launches:    launchspec.APIs{EC2: c.clients.EC2, EKS: c.clients.EKS, NextImages: ours.Rotate},
		ZonalShifts: cooldown.ShiftAPIs{Shifts: c.clients.ZonalShifts, EC2: c.clients.EC2},
		Discovery:   discovery, RefreshInterval: ours.RefreshInterval, MotionInterval: ours.MotionInterval, Clock: clock.RealClock{},
		LaunchMode: ours.LaunchMode, ZonalGroups: ours.ZonalGroups, Types: c.types.Catalogue,
		Launched: p.decisions.Launched, Read: p.decisions.Read,
		Cluster: ours.ClusterName, StockCluster: core.ClusterName, ClusterInUserData: userdata.Cluster,
	}
	if p.succession != nil {
		o.NoPredecessor, o.TokenTime = p.succession.Clean(), p.succession.Tokens.Use
	}
	return asg.NewCache(o)
}

// newProvider makes the provider of the groups over the nodes, DaemonSets and events that o has.
func (p *Process) newProvider(working context.Context, c *cloud, o aws.Options) *aws.Provider {
	o.Cache, o.Types, o.Region, o.Prices = c.cache, c.types, c.clients.Region, c.prices
	o.EC2, o.Admission.EKS = c.clients.EC2, c.clients.EKS
	o.GatherDeletions, o.Limiter = p.core.NodeDeletionBatcherInterval, cacontext.NewResourceLimiterFromAutoscalingOptions(p.core)
	o.Registerer, o.Clock = p.registerer, clock.RealClock{}
	return aws.New(working, o)
}

// assumeGroups has a process without a flag that selects groups scale the groups of its cluster, by the name that is known before they are read. It says
// so, and waits for the DaemonSets, and so for the VPC CNI. If that gives no name, keep returns an error once it does, because a process cannot change
// what it selects.
func (p *Process) assumeGroups(ctx context.Context, started informers.Started, daemonSets appslisters.DaemonSetLister) (
	keep []func(context.Context) error, err error) {
	core, ours := &p.core, &p.options.AWS
	if len(core.NodeGroups)+len(core.NodeGroupAutoDiscovery) > 0 {
		return nil, nil
	}
	if err := p.awaitCaches(ctx, started); err != nil {
		return nil, err
	}
	p.ready.await(firstReading)
	log := klog.FromContext(ctx)
	name := ownership.NewIdentity(ours.ClusterName, core.ClusterName).Early(aws.ClusterOfCNI(daemonSets))
	if name.Cluster == "" { // the groups with the tag may belong to any cluster of the account
		log.Info("No flag selects Auto Scaling groups, and the name of this cluster is not known: no group is scaled",
			"remedy", "name this cluster by --asg-cluster-name, or select its groups by --node-group-auto-discovery")
		return []func(context.Context) error{func(ctx context.Context) error {
			return wait.PollUntilContextCancel(ctx, nameInterval, false, func(context.Context) (bool, error) {
				if cluster := aws.ClusterOfCNI(daemonSets); cluster != "" {
					return true, fmt.Errorf("the VPC CNI names this cluster now (%s): this process ends, to restart with its groups", cluster)
				}
				return false, nil
			})
		}}, nil
	}
	core.NodeGroupAutoDiscovery, ours.DiscoveryJoin, p.assumed = ownership.Assumed(name.Cluster), ownership.JoinAny, true
	log.Info("No flag selects Auto Scaling groups: those that name this cluster are scaled", "cluster", name.Cluster, "source", name.Source,
		"asIf", core.NodeGroupAutoDiscovery)
	return nil, nil
}

// nameInterval is the time between two looks into the cache for the name of the cluster.
const nameInterval = 5 * time.Second

// awsAuth reads the roles which the ConfigMap aws-auth lets in as nodes. It lists, because the shipped Role has no get in kube-system.
func awsAuth(client kubernetes.Interface) func(context.Context) ([]string, error) {
	return func(ctx context.Context) (roles []string, err error) {
		list, err := client.CoreV1().ConfigMaps("kube-system").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=aws-auth"})
		if err != nil || len(list.Items) == 0 {
			return nil, errors.Join(err, errors.New("no ConfigMap aws-auth"))
		}
		var lines []struct {
			RoleARN string   `json:"rolearn"`
			Groups  []string `json:"groups"`
		}
		err = yaml.Unmarshal([]byte(list.Items[0].Data["mapRoles"]), &lines)
		for _, line := range lines {
			if slices.Contains(line.Groups, "system:nodes") {
				roles = append(roles, line.RoleARN)
			}
		}
		return roles, err
	}
}
