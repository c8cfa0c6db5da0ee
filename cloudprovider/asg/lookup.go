package asg

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

const (
	// maxConfigurationsPerCall is the most names DescribeLaunchConfigurations takes (API reference, MaxRecords).
	maxConfigurationsPerCall = 50
	// maxTemplatesPerPage is the largest page of DescribeLaunchTemplateVersions without a template ID.
	maxTemplatesPerPage = 200
	// manyTemplates is when the newest and default versions of all templates of the account are read at once before
	// any is asked for alone; maxTemplatePages bounds that where an account has many more than the groups use.
	manyTemplates    = 20
	maxTemplatePages = 30
	// lookupsAtOnce bounds the calls under way at any time.
	lookupsAtOnce = 6
	// nodegroupKeptFor and requirementsKeptFor are how long these answers are believed; so is a launch template's
	// $Latest and $Default for floatingRecheck. A numbered version never changes.
	nodegroupKeptFor    = 10 * time.Minute
	requirementsKeptFor = time.Hour
)

// LaunchAPIs are the services that describe what a group launches. EKS may be nil, and so may Instances: then nobody asks what
// the tags of an instance state.
type LaunchAPIs struct {
	EC2       EC2API
	EKS       EKSAPI
	Instances InstancesAPI
}

// EC2API is what the lookups ask of EC2.
type EC2API interface {
	DescribeLaunchTemplateVersions(context.Context, *ec2.DescribeLaunchTemplateVersionsInput,
		...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error)
	DescribeImages(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error)
	GetInstanceTypesFromInstanceRequirements(context.Context, *ec2.GetInstanceTypesFromInstanceRequirementsInput,
		...func(*ec2.Options)) (*ec2.GetInstanceTypesFromInstanceRequirementsOutput, error)
}

// EKSAPI is what the lookups ask of EKS.
type EKSAPI interface {
	DescribeNodegroup(context.Context, *eks.DescribeNodegroupInput, ...func(*eks.Options)) (*eks.DescribeNodegroupOutput, error)
}

// launches looks up what groups launch. Its memos belong to the one goroutine that resolves; suspect may be called from
// any.
type launches struct {
	autoscaling configurationsAPI
	apis        LaunchAPIs
	clock       clock.PassiveClock
	clusterIn   func(userData string) string // the cluster that it names, or nil

	templates      memo[TemplateRef, template]
	configurations memo[string, Launch]
	requirements   memo[requirementsKey, []string]
	nodegroups     memo[nodegroupKey, Nodegroup]
	aliases        memo[string, string] // from an image's parameter in Systems Manager to its ID
	images         memo[string, Image]

	failing bool // a look-up of the last fetch failed, and may not the next time

	mu       sync.Mutex
	suspects map[string]bool // groups whose launches fail: what they launch may have changed or gone
}

func newLaunches(as configurationsAPI, apis LaunchAPIs, c clock.PassiveClock) *launches {
	l := &launches{
		autoscaling: as, apis: apis, clock: c, suspects: map[string]bool{},
		templates: newMemo[TemplateRef, template](func(r TemplateRef) time.Duration {
			if r.floats() {
				return floatingRecheck
			}
			return 0
		}),
		configurations: newMemo[string, Launch](func(string) time.Duration { return 0 }),
		requirements:   newMemo[requirementsKey, []string](func(requirementsKey) time.Duration { return requirementsKeptFor }),
		nodegroups:     newMemo[nodegroupKey, Nodegroup](func(nodegroupKey) time.Duration { return nodegroupKeptFor }),
		aliases:        newMemo[string, string](func(string) time.Duration { return floatingRecheck }),
		images:         newMemo[string, Image](func(string) time.Duration { return 0 }),
	}
	l.images.goneFor = goneImageRecheck
	return l
}

// suspect has what the group launches looked up again, for its launches fail.
func (l *launches) suspect(group string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.suspects[group] = true
}

// fetch looks up what the groups need and is not known. Errors stay with what was looked up.
func (l *launches) fetch(ctx context.Context, groups []*Group) {
	l.mu.Lock()
	suspects := l.suspects
	l.suspects = map[string]bool{}
	l.mu.Unlock()
	for _, g := range groups {
		if name := g.Source.ConfigurationName; name != "" {
			l.configurations.want(name)
		}
		for _, ref := range g.Source.templates() {
			l.templates.want(ref)
		}
		if key := nodegroupOf(g); key != (nodegroupKey{}) {
			l.nodegroups.want(key)
		}
		if suspects[g.Name] {
			l.expire(g)
		}
	}
	l.fetchConfigurations(ctx, l.configurations.due(l.clock.Now()))
	l.fetchTemplates(ctx, l.templates.due(l.clock.Now()))
	l.fetchNodegroups(ctx, l.nodegroups.due(l.clock.Now()))
	l.fetchImages(ctx, groups)
	for _, g := range groups {
		for _, key := range l.requirementsOf(g) {
			l.requirements.want(key)
		}
	}
	l.fetchRequirements(ctx, l.requirements.due(l.clock.Now()))
	l.failing = l.templates.failing() || l.configurations.failing() || l.requirements.failing() || l.nodegroups.failing()
}

// expire has all that g launches from looked up again.
func (l *launches) expire(g *Group) {
	l.configurations.expire(g.Source.ConfigurationName)
	for _, ref := range g.Source.templates() {
		l.templates.expire(ref)
	}
	for _, key := range l.requirementsOf(g) {
		l.requirements.expire(key)
	}
	l.nodegroups.expire(nodegroupOf(g))
	for _, u := range l.imageUsers(g) {
		if image, _ := l.image(u.imageID); image != nil {
			l.images.expire(image.ID)
		}
		l.aliases.expire(u.imageID)
	}
}

func (l *launches) fetchConfigurations(ctx context.Context, names []string) {
	slices.Sort(names)
	for some := range slices.Chunk(names, maxConfigurationsPerCall) {
		out, err := l.autoscaling.DescribeLaunchConfigurations(ctx, &autoscaling.DescribeLaunchConfigurationsInput{
			LaunchConfigurationNames: some, MaxRecords: aws.Int32(maxConfigurationsPerCall)})
		found := map[string]*Launch{}
		if err == nil {
			for _, c := range out.LaunchConfigurations {
				launch := &Launch{ImageID: aws.ToString(c.ImageId), UserData: aws.ToString(c.UserData), Spot: aws.ToString(c.SpotPrice) != ""}
				if c.InstanceType != nil {
					launch.Types = []LaunchType{{Name: *c.InstanceType, Weight: 1}}
				}
				for _, b := range c.BlockDeviceMappings {
					if b.Ebs != nil {
						launch.BlockDevices = addDevice(launch.BlockDevices, b.DeviceName, b.Ebs.VolumeSize)
					}
				}
				launch.stated = l.stated(launch.UserData, nil)
				found[aws.ToString(c.LaunchConfigurationName)] = launch
			}
		}
		for _, name := range some {
			failure := err
			if err == nil && found[name] == nil {
				failure = errGone
			}
			l.configurations.put(name, found[name], failure, l.clock.Now())
		}
	}
}

// errGone is the error of an object that a successful answer does not list.
var errGone = errors.New("it does not exist")

func isGone(err error) bool { return errors.Is(err, errGone) || awsclient.IsNotFound(err) }

// fetchTemplates reads the versions, many at once where many are due, the rest one by one.
func (l *launches) fetchTemplates(ctx context.Context, refs []TemplateRef) {
	if len(refs) >= manyTemplates {
		start := l.clock.Now()
		if err := l.fetchAllTemplates(ctx); err != nil {
			klog.FromContext(ctx).V(2).Info("Could not read all launch templates at once, reading them one by one", "reason", awsclient.Reason(err), "err", err)
		}
		refs = slices.DeleteFunc(refs, func(r TemplateRef) bool { return !l.templates.entries[r].readAt.Before(start) })
	}
	found := make([]*template, len(refs))
	errs := make([]error, len(refs))
	each(len(refs), func(i int) { found[i], errs[i] = l.describeTemplate(ctx, refs[i], false) })
	for i, ref := range refs {
		l.templates.put(ref, found[i], errs[i], l.clock.Now())
	}
}

// describeTemplate reads one version. With resolve, a parameter of Systems Manager in the place of its image is replaced by the
// image; that needs a permission of its own, so it is asked for apart.
func (l *launches) describeTemplate(ctx context.Context, ref TemplateRef, resolve bool) (*template, error) {
	in := &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{ref.Version}}
	if resolve {
		in.ResolveAlias = aws.Bool(true)
	}
	if ref.ID != "" {
		in.LaunchTemplateId = aws.String(ref.ID)
	} else {
		in.LaunchTemplateName = aws.String(ref.Name)
	}
	out, err := l.apis.EC2.DescribeLaunchTemplateVersions(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("describe launch template %s: %w", ref, err)
	}
	if len(out.LaunchTemplateVersions) == 0 {
		return nil, fmt.Errorf("launch template %s: %w", ref, errGone)
	}
	return l.read(out.LaunchTemplateVersions[0]), nil
}

// fetchAllTemplates reads the newest and the default version of every template of the account: one call per 200, where
// each alone would be one call per template.
func (l *launches) fetchAllTemplates(ctx context.Context) error {
	newest := map[string]ec2types.LaunchTemplateVersion{}
	pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(l.apis.EC2, &ec2.DescribeLaunchTemplateVersionsInput{
		Versions: []string{"$Latest", "$Default"}, MaxResults: aws.Int32(maxTemplatesPerPage)})
	for range maxTemplatePages {
		if !pages.HasMorePages() {
			break
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("describe all launch templates: %w", err)
		}
		for _, v := range page.LaunchTemplateVersions {
			l.putVersion(v, strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10))
			if aws.ToBool(v.DefaultVersion) {
				l.putVersion(v, "$Default")
			}
			if id := aws.ToString(v.LaunchTemplateId); aws.ToInt64(v.VersionNumber) > aws.ToInt64(newest[id].VersionNumber) {
				newest[id] = v
			}
		}
	}
	if pages.HasMorePages() {
		return nil // a newer version may be on a page we did not read
	}
	for _, v := range newest {
		l.putVersion(v, "$Latest")
	}
	return nil
}

func (l *launches) putVersion(v ec2types.LaunchTemplateVersion, version string) {
	for _, ref := range []TemplateRef{
		{ID: aws.ToString(v.LaunchTemplateId), Version: version}, {Name: aws.ToString(v.LaunchTemplateName), Version: version},
	} {
		if l.templates.entries[ref] != nil {
			l.templates.put(ref, l.read(v), nil, l.clock.Now())
		}
	}
}

// read takes in a version, and what it states.
func (l *launches) read(v ec2types.LaunchTemplateVersion) *template {
	t := templateFrom(v)
	t.stated = l.stated(t.userData, t.instanceTags)
	return t
}

// each runs do for 0 to n-1, a few at a time, and waits for all.
func each(n int, do func(int)) {
	var g errgroup.Group
	g.SetLimit(lookupsAtOnce)
	for i := range n {
		g.Go(func() error { do(i); return nil })
	}
	_ = g.Wait()
}

// unread makes the Problem of something that could not be read.
func unread(err error, reason, what, action, instead string) Problem {
	p := Problem{Reason: reason, Message: fmt.Sprintf("%s could not be read: %s", what, awsclient.Brief(err)), Remedy: "wait: it is tried again within a minute"}
	switch {
	case errors.Is(err, errNotRead):
		p.Message = what + " has not been read yet"
		p.Remedy = "it is being read"
	case awsclient.IsDenied(err):
		p.Remedy = fmt.Sprintf("allow %s in the autoscaler's IAM policy, %s", action, instead)
	case isGone(err):
		if reason == ReasonLaunchSourceUnread {
			p.Reason, p.Blocks = ReasonLaunchSourceMissing, true
		}
		p.Message = what + " does not exist"
		p.Remedy = "create it again, " + instead
	}
	return p
}
