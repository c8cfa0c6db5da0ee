package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/smithy-go/middleware"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/fromgroup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate/userdata"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Options select the source and the groups of a reading.
type Options struct {
	// Nodes and AutoDiscovery are the values of the autoscaler's flags of those names. With neither, all groups are read.
	Nodes         []string
	AutoDiscovery []string
	// ClusterName is the value of the autoscaler's --asg-cluster-name. Without it no group is taken for another cluster's, unless
	// its own statements disagree.
	ClusterName string
	// DiscoveryJoin is the value of the autoscaler's --asg-node-group-discovery. The empty one is its default.
	DiscoveryJoin ownership.DiscoveryJoin
	// Evidence is the cluster's evidence of its name where ClusterName is empty. With nil there is none.
	Evidence *ownership.Evidence
	// Only is the one group to read, or zonal view of a group, used where neither of the above is given.
	Only string
	// ZonalGroups is the value of the autoscaler's --asg-zonal-groups, its default when empty.
	ZonalGroups asg.ZonalGroups

	// From is a folder of recorded answers, or "" for AWS.
	From string
	// Region is AWS's region, or "" for the environment's or the recorded one.
	Region            string
	CloudConfig       string // path, may be ""
	InstanceTypesFile string // path, may be ""
	Version           string // of this binary, for the user agent
}

// Reading is every group as of one moment. It is immutable.
type Reading struct {
	Groups []*group.Group // by name
	// Cluster is the name of this cluster and its source, zero if it is not known.
	Cluster launchspec.Statement
	// Absent are the groups, or zonal views, that were asked for by name and do not exist.
	Absent []string
	// Unlooked is the reason why instance types missing in the catalogue could not be looked up, or nil.
	Unlooked error

	// Template makes the template of a group of the reading, or of a zonal view of one.
	Template func(*group.Group) *fromgroup.Template

	zones    map[string]zones // by Auto Scaling group
	regionOf func(group string) string
	from     string // the folder, "" for AWS
}

// zones say how an Auto Scaling group is scaled zone by zone.
type zones struct {
	nodeGroups []*group.Group       // the group itself, or its zonal views
	possible   []*group.Group       // views that it gets once a pod needs one of its zones
	problems   []launchspec.Problem // why it is not scaled so, where that is asked for
}

// Region returns the region of a group of the reading, or "" where it is unknown.
func (r *Reading) Region(g *group.Group) string { return r.regionOf(g.Name) }

// Views returns the zonal views of a group of the reading, one node group for each zone, where the autoscaler would scale it
// zone by zone. There are none if the group is one node group itself. AWS's refusals to the autoscaler at run time are unknown
// here, and so are the zones where an instance type is offered.
func (r *Reading) Views(g *group.Group) []*group.Group {
	if views := r.zones[g.Name].nodeGroups; g.Zone == "" && len(views) > 0 && views[0].Zone != "" {
		return views
	}
	return nil
}

// Find returns the group of that name or the zonal view of that ID. The view may be one that the group gets once a pod needs its zone.
func (r *Reading) Find(id string) (*group.Group, error) {
	for _, g := range r.Groups {
		if g.Name == id {
			return g, nil
		}
		for _, view := range slices.Concat(r.Views(g), r.zones[g.Name].possible) {
			if view.ID() == id {
				return view, nil
			}
		}
	}
	return nil, fmt.Errorf("no Auto Scaling group or zonal view %q: asgctl groups lists those there are, and says why a group is not scaled by zone", id)
}

// WrongUse is an error in the caller's request, not in the reading.
type WrongUse struct{ error }

func (e WrongUse) Unwrap() error { return e.error }

// Read reads the groups, their launch templates, and the facts of their instance types. It makes the calls of a starting
// autoscaler: one per hundred groups, a few for the launch templates, and one per hundred unknown instance types.
func Read(ctx context.Context, o Options) (*Reading, error) {
	discovery, err := o.discovery()
	if err != nil {
		return nil, WrongUse{err}
	}
	if err := ownership.CheckClusterName(o.ClusterName); err != nil {
		return nil, WrongUse{fmt.Errorf("--asg-cluster-name: %w", err)}
	}
	if err := o.DiscoveryJoin.Check(); err != nil {
		return nil, WrongUse{fmt.Errorf("--asg-node-group-discovery: %w", err)}
	}
	if err := o.ZonalGroups.Check(); err != nil {
		return nil, WrongUse{fmt.Errorf("--asg-zonal-groups: %w", err)}
	}
	catalogue, err := o.catalogue()
	if err != nil {
		return nil, err
	}
	in, types, regionOf, err := o.connect(ctx)
	if err != nil {
		return nil, err
	}
	in.Discovery, in.ZonalGroups, in.Cluster = discovery, o.ZonalGroups, o.ClusterName
	in.Clock, in.ClusterInUserData, in.Types = clock.RealClock{}, userdata.Cluster, func() *instancetypes.Catalogue { return catalogue }
	cache := asg.NewCache(in)
	if err := cache.ReadOnce(ctx); err != nil {
		return nil, err
	}
	if o.Evidence != nil {
		cache.SeeCluster(ctx, *o.Evidence)
	}
	groups := slices.Concat(cache.Snapshot().Groups(), cache.Snapshot().Foreign())
	slices.SortFunc(groups, func(a, b *group.Group) int { return cmp.Compare(a.Name, b.Name) })
	r := &Reading{Groups: groups, Cluster: cache.ClusterName(), Absent: cache.Absent(), zones: map[string]zones{}, regionOf: regionOf, from: o.From}
	known := catalogue
	if types != nil {
		known, r.Unlooked = lookUp(ctx, types, r.Groups, catalogue)
	}
	r.Template = func(g *group.Group) *fromgroup.Template {
		return fromgroup.Seen{}.Build(nil, g, regionOf(g.Name), known)
	}
	for _, g := range groups {
		nodeGroups, divisible, problems := cache.NodeGroups(g)
		scaled := zones{nodeGroups: nodeGroups, problems: problems}
		if divisible {
			scaled.possible = g.ByZone()
		}
		r.zones[g.Name] = scaled
	}
	return r, nil
}

func (o Options) discovery() (ownership.Discovery, error) {
	d, err := ownership.ParseDiscovery(o.Nodes, o.AutoDiscovery)
	d.Join = o.DiscoveryJoin
	switch {
	case err != nil || len(o.Nodes)+len(o.AutoDiscovery) > 0:
		return d, err
	case o.Only != "":
		d.Named = []group.Named{{Name: o.Only, MaxSize: math.MaxInt}}
	default:
		d.Filters = []ownership.TagFilter{{}}
	}
	return d, nil
}

// catalogue is the built-in list of instance types, with the given file's and then the folder's laid over it.
func (o Options) catalogue() (*instancetypes.Catalogue, error) {
	catalogue, err := instancetypes.WithFile(o.InstanceTypesFile)
	if err != nil || o.From == "" {
		return catalogue, err
	}
	newer, err := instancetypes.ReadFile(filepath.Join(o.From, instanceTypesFile))
	if errors.Is(err, fs.ErrNotExist) { // the folder need not have one
		err = nil
	}
	return catalogue.With(newer...), err
}

// connect returns the APIs of the cache, the API that looks up unknown types, nil for none, and the region of each group.
func (o Options) connect(ctx context.Context) (in asg.Options, types lookup.TypesAPI, region func(group string) string, err error) {
	if o.From == "" {
		clients, err := o.Clients(ctx)
		if err != nil {
			return in, nil, nil, err
		}
		in.AutoScaling, in.Launches = clients.AutoScaling, launchspec.APIs{EC2: clients.EC2, EKS: clients.EKS}
		return in, clients.EC2, func(string) string { return clients.Region }, nil
	}
	account, err := LoadAccount(os.DirFS(o.From), o.From)
	if err != nil {
		return in, nil, nil, err
	}
	answered := []func(*middleware.Stack) error{account.Answer}
	in.AutoScaling = autoscaling.New(autoscaling.Options{APIOptions: answered})
	in.Launches = launchspec.APIs{EC2: ec2.New(ec2.Options{APIOptions: answered}), EKS: eks.New(eks.Options{APIOptions: answered})}
	return in, nil, func(group string) string { return cmp.Or(o.Region, account.Region(group)) }, nil
}

func (o Options) Clients(ctx context.Context) (*awsclient.Clients, error) {
	config, err := awsclient.ReadCloudConfig(o.CloudConfig)
	if err != nil {
		return nil, err
	}
	clients, err := awsclient.New(ctx, awsclient.Options{Region: o.Region, CloudConfig: config, Version: o.Version})
	if err != nil {
		return nil, fmt.Errorf("make AWS clients (--region sets the region here): %w", err)
	}
	return clients, nil
}

// lookUp adds to the catalogue the types that the groups launch and it lacks. The catalogue is of use even with an error.
func lookUp(ctx context.Context, api lookup.TypesAPI, groups []*group.Group, catalogue *instancetypes.Catalogue) (*instancetypes.Catalogue, error) {
	unknown := map[string]bool{}
	for _, g := range groups {
		if g.LaunchSpec == nil {
			continue
		}
		for _, t := range g.LaunchSpec.Types {
			if _, ok := catalogue.Lookup(t.Name); !ok {
				unknown[t.Name] = true
			}
		}
	}
	found, err := lookup.DescribeTypes(ctx, api, slices.Sorted(maps.Keys(unknown)))
	return catalogue.With(found...), err
}

// recordable are the reasons of problems that recorded answers have where they fall short.
var recordable = []string{launchspec.ReasonNodegroupUnread, launchspec.ReasonLaunchSourceUnread, launchspec.ReasonLaunchSourceMissing}

// Problems returns the problems of a group of the reading, or of one of its zonal views: first AWS's refusals, then its tags
// and types, then the reasons why it is not scaled zone by zone where that is asked for, and tags of its owner that cannot be read.
func (r *Reading) Problems(g *group.Group) []launchspec.Problem {
	problems, template := []launchspec.Problem{}, r.Template(g)
	known := template.Known()
	for _, p := range g.Problems {
		p.Blocks = p.Blocks || !known && p.Reason != launchspec.ReasonNodegroupUnread
		if r.from != "" && slices.Contains(recordable, p.Reason) && (g.Source.ConfigurationName != "" || !g.Source.Template.IsZero()) {
			p.Remedy = "record it: docs/asgctl.md#offline has the commands"
		}
		problems = append(problems, p)
	}
	if g.Failure != nil {
		problems = append(problems, launchspec.Problem{Reason: g.Failure.Code, Message: "the last launch failed: " + g.Failure.Message})
	}
	for _, p := range r.templateProblems(g, template) {
		if p.Reason == nodetemplate.ReasonNoType && len(g.Problems) > 0 {
			continue // said above, with the cause
		}
		unknown := p.Reason == nodetemplate.ReasonUnknownType || p.Reason == nodetemplate.ReasonNoType
		problems = append(problems, launchspec.Problem{Reason: string(p.Reason), Message: strings.TrimPrefix(p.String(), fmt.Sprintf("Auto Scaling group %q: ", p.Group)),
			Remedy: p.Remedy(), Blocks: unknown && !known})
	}
	if g.LaunchSpec == nil && len(problems) == 0 {
		problems = append(problems, launchspec.Problem{Reason: launchspec.ReasonLaunchSourceUnread, Message: "the group's instance types are unknown", Blocks: true})
	}
	problems = append(problems, slices.Concat(r.zones[g.Name].problems, g.TagProblems(), move.Problems(g))...)
	region := r.Region(g)
	for at := range problems {
		problems[at].Remedy = shellword.InRegion(region, problems[at].Remedy)
	}
	return problems
}

// templateProblems returns the problems of the group's template, and further ones of its zonal views.
func (r *Reading) templateProblems(g *group.Group, t *fromgroup.Template) []nodetemplate.Problem {
	problems := slices.Clone(t.Problems)
	for _, view := range r.Views(g) {
		for _, p := range r.Template(view).Problems {
			if !slices.Contains(problems, p) {
				problems = append(problems, p)
			}
		}
	}
	return problems
}
