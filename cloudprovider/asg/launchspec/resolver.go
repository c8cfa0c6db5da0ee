package launchspec

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"k8s.io/utils/clock"
)

// APIs are the services that describe what a group launches, and what to ask them.
type APIs struct {
	EC2 EC2API
	EKS eks.DescribeNodegroupAPIClient
	// NextImages has the Resolver find out LaunchSpec's NextImages.
	NextImages bool
}

type EC2API interface {
	ec2.DescribeLaunchTemplateVersionsAPIClient
	ec2.DescribeImagesAPIClient
	ec2.GetInstanceTypesFromInstanceRequirementsAPIClient
}

// Resolver looks up what groups launch. One goroutine owns its memos and calls Fetch, Spec and Statements. Suspect is safe for concurrent use.
type Resolver struct {
	autoscaling AutoScalingAPI
	apis        APIs
	clock       clock.PassiveClock
	clusterIn   func(userData string) string // returns "" where user data names no cluster. A nil one finds none

	templates      memo[TemplateRef, template]
	configurations memo[string, template]
	requirements   memo[requirementsKey, []string]
	nodegroups     memo[NodegroupKey, describedNodegroup]
	aliases        memo[string, string] // from an image's parameter in Systems Manager to its ID
	images         memo[string, Image]
	refreshes      memo[string, Operation] // by group

	Failing bool // a look-up of the last Fetch failed and may succeed the next time, or is due soon

	mu       sync.Mutex
	suspects map[string]bool      // groups whose launches fail, because their source may have changed or gone
	replaced map[string]time.Time // see Replaced

	refreshesDenied atomic.Bool // AWS denies a look, and the log says so
}

// New makes a Resolver without an answer. clusterIn finds the cluster's name in user data as AWS keeps it. It may be nil.
func New(as AutoScalingAPI, apis APIs, c clock.PassiveClock, clusterIn func(userData string) string) *Resolver {
	r := &Resolver{
		autoscaling: as, apis: apis, clock: c, clusterIn: clusterIn, suspects: map[string]bool{}, replaced: map[string]time.Time{},
		templates:      newMemo[TemplateRef, template](c, 0),
		configurations: newMemo[string, template](c, 0),
		requirements:   newMemo[requirementsKey, []string](c, requirementsTTL),
		nodegroups:     newMemo[NodegroupKey, describedNodegroup](c, nodegroupTTL),
		aliases:        newMemo[string, string](c, floatingTemplateTTL),
		images:         newMemo[string, Image](c, 0),
		refreshes:      newMemo[string, Operation](c, operationInterval),
	}
	r.images.goneFor = goneImageRetry
	return r
}

// Suspect makes the look-ups of a group due, because its launches fail.
func (r *Resolver) Suspect(group string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects[group] = true
}

type AutoScalingAPI interface {
	autoscaling.DescribeLaunchConfigurationsAPIClient
	autoscaling.DescribeInstanceRefreshesAPIClient
}

// Fetch looks up what the groups need and the memos lack. Errors stay with their key.
func (r *Resolver) Fetch(ctx context.Context, groups []*Group) {
	r.mu.Lock()
	suspects := r.suspects
	r.suspects = map[string]bool{}
	r.mu.Unlock()
	old := func(readAt time.Time) bool { return r.clock.Since(readAt) >= floatingTemplateTTL }
	for _, g := range groups {
		if name := g.Source.ConfigurationName; name != "" {
			r.configurations.want(name)
		}
		for _, ref := range g.Source.templates() {
			r.templates.want(ref)
			if ref.floats() {
				r.templates.expireIf(ref, old)
			}
		}
		if key := g.ManagedNodegroup(); key.Name != "" {
			r.nodegroups.want(key)
		}
		if suspects[g.Name] {
			r.expire(g)
		}
	}
	fresh := r.wantOperations(groups)
	r.configurations.fetchBatches(ctx, r.configurations.due(), maxConfigurationsPerCall, r.describeConfigurations)
	r.fetchTemplates(ctx, r.templates.due())
	eksCtx, cancel := context.WithTimeout(ctx, 2*optionalTimeout) // the rest is due again soon, and the look-ups below do not wait for it
	defer cancel()
	r.nodegroups.fetch(eksCtx, r.nodegroups.due(), r.describeNodegroup)
	r.fetchImages(ctx, groups)
	for _, g := range groups {
		for _, key := range r.requirementsOf(g) {
			r.requirements.want(key)
		}
	}
	r.requirements.fetch(ctx, r.requirements.due(), r.matchingTypes)
	refreshes := r.refreshes.due()
	r.refreshes.fetch(ctx, refreshes[:min(len(refreshes), refreshesAtOnce)], r.refresh)
	r.Failing = fresh || len(refreshes) > refreshesAtOnce || r.templates.failing() || r.configurations.failing() || r.requirements.failing() ||
		r.nodegroups.failing() || r.aliases.failing() || r.images.failing()
}

func (r *Resolver) expire(g *Group) {
	r.configurations.expire(g.Source.ConfigurationName)
	for _, ref := range g.Source.templates() {
		r.templates.expire(ref)
	}
	for _, key := range r.requirementsOf(g) {
		r.requirements.expire(key)
	}
	r.nodegroups.expire(g.ManagedNodegroup())
	for id := range r.imageUsers(g) {
		if image, _ := r.image(id); image != nil {
			r.images.expire(image.ID)
		}
		r.aliases.expire(id)
	}
}
