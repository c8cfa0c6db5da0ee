package launchspec

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
)

// APIs are the services that describe what a group launches. EKS may be nil.
type APIs struct {
	EC2 EC2API
	EKS EKSAPI
}

// EC2API has the look-ups' calls to EC2.
type EC2API interface {
	DescribeLaunchTemplateVersions(context.Context, *ec2.DescribeLaunchTemplateVersionsInput,
		...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error)
	DescribeImages(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error)
	GetInstanceTypesFromInstanceRequirements(context.Context, *ec2.GetInstanceTypesFromInstanceRequirementsInput,
		...func(*ec2.Options)) (*ec2.GetInstanceTypesFromInstanceRequirementsOutput, error)
}

// EKSAPI has the look-ups' calls to EKS.
type EKSAPI interface {
	DescribeNodegroup(context.Context, *eks.DescribeNodegroupInput, ...func(*eks.Options)) (*eks.DescribeNodegroupOutput, error)
}

// Resolver looks up what groups launch. One goroutine owns its memos and calls Fetch, Spec and Statements. Suspect is safe for concurrent use.
type Resolver struct {
	autoscaling ConfigurationsAPI
	apis        APIs
	clock       clock.PassiveClock
	clusterIn   func(userData string) string // returns "" where user data names no cluster; nil finds none

	templates      memo[TemplateRef, template]
	configurations memo[string, LaunchSpec]
	requirements   memo[requirementsKey, []string]
	nodegroups     memo[nodegroupKey, Nodegroup]
	aliases        memo[string, string] // from an image's parameter in Systems Manager to its ID
	images         memo[string, Image]

	// Failing reports whether a look-up of the last Fetch failed and may succeed the next time.
	Failing bool

	mu       sync.Mutex
	suspects map[string]bool // groups whose launches fail, because their source may have changed or gone
}

// New makes a Resolver without an answer. clusterIn finds the cluster's name in user data as AWS keeps it. It may be nil.
func New(as ConfigurationsAPI, apis APIs, c clock.PassiveClock, clusterIn func(userData string) string) *Resolver {
	r := &Resolver{
		autoscaling: as, apis: apis, clock: c, clusterIn: clusterIn, suspects: map[string]bool{},
		templates: newMemo[TemplateRef, template](func(ref TemplateRef) time.Duration {
			if ref.floats() {
				return floatingTemplateTTL
			}
			return 0
		}),
		configurations: newMemo[string, LaunchSpec](func(string) time.Duration { return 0 }),
		requirements:   newMemo[requirementsKey, []string](func(requirementsKey) time.Duration { return requirementsTTL }),
		nodegroups:     newMemo[nodegroupKey, Nodegroup](func(nodegroupKey) time.Duration { return nodegroupTTL }),
		aliases:        newMemo[string, string](func(string) time.Duration { return floatingTemplateTTL }),
		images:         newMemo[string, Image](func(string) time.Duration { return 0 }),
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

// each runs do for 0 to n-1, a few at a time, and waits for all.
func each(n int, do func(int)) {
	var g errgroup.Group
	g.SetLimit(lookupsAtOnce)
	for i := range n {
		g.Go(func() error { do(i); return nil })
	}
	_ = g.Wait()
}

type ConfigurationsAPI interface {
	DescribeLaunchConfigurations(context.Context, *autoscaling.DescribeLaunchConfigurationsInput,
		...func(*autoscaling.Options)) (*autoscaling.DescribeLaunchConfigurationsOutput, error)
}
