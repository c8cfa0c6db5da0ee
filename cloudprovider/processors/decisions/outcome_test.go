package decisions

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/autoscaler/cluster-autoscaler/config"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/aws"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
)

func TestOutcomeNamesTheCallAndTheGroup(t *testing.T) {
	for _, tt := range []struct {
		name         string
		launch       asg.Launch
		says, remedy string
	}{
		{"a reading before the launch is throttled", asg.Launch{Group: "web", Call: "SetDesiredCapacity", RefusedCall: "DescribeAutoScalingGroups",
			Refused: "Throttling: Rate exceeded", Class: awsmessage.Throttle}, "AWS throttles DescribeAutoScalingGroups", "AttributeValue=DescribeAutoScalingGroups"},
		{"no pool is named", asg.Launch{Group: "web", Failures: cooldown.Failures{{Class: awsmessage.Quota, Message: "Volume limit exceeded"}}},
			"the AWS account has no more of its quota: Volume limit exceeded", "list-service-quotas"},
		{"a suspended process", asg.Launch{Group: "web", Call: "LaunchInstances", Refused: "ValidationError: The Launch process of the AutoScalingGroup is suspended"},
			"the Launch process of group web is suspended", "aws autoscaling resume-processes --scaling-processes Launch --auto-scaling-group-name web"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, failed := outcomeOf(tt.launch)
			assert.Truef(t, failed && got.Message == tt.says && strings.Contains(got.Remedy, tt.remedy),
				"outcome %+v, want %q and in the remedy %q", got, tt.says, tt.remedy)
		})
	}
}

// The core leaves pods out that consume a ProvisioningRequest, whether they fit somewhere or not.
func TestPodOfAProvisioningRequest(t *testing.T) {
	for _, tt := range []struct {
		annotation string
		on         bool // --enable-provisioning-requests
		want       decision.PodState
	}{
		{"autoscaling.x-k8s.io/consume-provisioning-request", true, decision.PodIgnored},
		{"cluster-autoscaler.kubernetes.io/consume-provisioning-request", true, decision.PodIgnored},
		{"autoscaling.x-k8s.io/consume-provisioning-request", false, decision.PodFits},
		{"other", true, decision.PodFits},
	} {
		s := &speaker{cluster: &cluster{Collector: New(Config{Core: config.AutoscalingOptions{ProvisioningRequestEnabled: tt.on}}), facts: &facts{listed: true}}}
		got := s.other(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ml", Name: "a", Annotations: map[string]string{tt.annotation: "train"}}})
		assert.Equalf(t, tt.want, got.state, "%s, on %t: %+v", tt.annotation, tt.on, got)
		if tt.want == decision.PodIgnored {
			assert.Equal(t, `it consumes ProvisioningRequest "train", and such pods cause no scale-up of their own`, got.cause.Message)
			assert.Equal(t, "kubectl -n ml describe provisioningrequest train", got.cause.Remedy)
		}
	}
}

// A node that a shadow would have asked for neither starts nor comes.
func TestPodWhoseGroupHasNoNodeThatStarts(t *testing.T) {
	for name, tt := range map[string]struct {
		pretended map[string]int
		want      decision.PodState
	}{
		"leader": {nil, decision.PodFits},
		"shadow": {map[string]int{}, decision.PodLaunching},
	} {
		s := &speaker{cluster: &cluster{Collector: New(Config{Provider: &aws.Provider{Pretended: tt.pretended}}),
			facts: &facts{listed: true, earlier: earlier{asked: map[types.UID][]string{"a": {"web"}}}}}, groups: map[string]*decision.Group{"web": {Name: "web"}}}
		s.late = func() (map[string]decision.Reason, map[string]int) { return nil, nil }
		got := s.other(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "a"}})
		assert.Equalf(t, tt.want, got.state, "%s: %+v", name, got)
	}
}

func TestPodOfASchedulerThatIsNotAllowed(t *testing.T) {
	for allowed, want := range map[string]decision.PodState{"default-scheduler": decision.PodIgnored, "volcano": decision.PodFits} {
		s := &speaker{cluster: &cluster{Collector: New(Config{Core: config.AutoscalingOptions{AllowedSchedulers: map[string]bool{allowed: true}}}), facts: &facts{listed: true}}}
		assert.Equalf(t, want, s.other(&corev1.Pod{Spec: corev1.PodSpec{SchedulerName: "volcano"}}).state, "with --allowed-scheduler-names=%s", allowed)
	}
}

// The scheduler says of a volume's zone that the node's labels do not match.
func TestVolumeSelectsForAPodThatDoesNot(t *testing.T) {
	said := why.Scheduling("NodeAffinity", nil, "")
	got := ofVolume(&corev1.Pod{Spec: corev1.PodSpec{NodeSelector: map[string]string{"pool": "web"}}}, said)
	assert.Truef(t, got == said, "%+v for a pod with a selector, want %+v", got, said)
	got = ofVolume(&corev1.Pod{}, said)
	assert.Equalf(t, decision.CodeVolume, got.Code, "%+v for a pod without one, want its volume", got)
}
