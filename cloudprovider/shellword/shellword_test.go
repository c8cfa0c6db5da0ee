package shellword_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

func TestShellReadsTheSameText(t *testing.T) {
	for _, s := range []string{"", "web", "k8s.io/x=owned", "a b", "it's", "$(id)", "`id`", "a;b&c|d", `"\`, "*?[x]", "a\nb", "~", "#x", "!!", "'; rm -rf /", "é"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellword.Quote(s)).Output()
		assert.Truef(t, err == nil && string(out) == s, "sh reads %q as %q: %v", s, out, err)
	}
	assert.Equal(t, "web-1/us-east-1a", shellword.Quote("web-1/us-east-1a"), "a plain word is quoted")
}

// The status page marks each line that begins with a program as a command.
func TestSeveralTagsAreSetByOneLine(t *testing.T) {
	assert.Equal(t, `aws autoscaling create-or-update-tags --tags '[{"ResourceId":"web","ResourceType":"auto-scaling-group","Key":"a","Value":"1","PropagateAtLaunch":false},`+
		`{"ResourceId":"web","ResourceType":"auto-scaling-group","Key":"b","Value":"2","PropagateAtLaunch":false}]'`,
		shellword.SetTags("web", shellword.Tag{Key: "a", Value: "1"}, shellword.Tag{Key: "b", Value: "2"}))
}

func TestCommandsGetTheRegion(t *testing.T) {
	for _, tt := range []struct{ step, want string }{
		{"aws eks update-nodegroup-config --cluster-name prod", "aws eks update-nodegroup-config --region cn-north-1 --cluster-name prod"},
		{"asgctl account", "asgctl account --region cn-north-1"},
		{"asgctl template web", "asgctl template --region cn-north-1 web"},
		{"resume it: aws autoscaling resume-processes --auto-scaling-group-name web", "resume it: aws autoscaling resume-processes --region cn-north-1 --auto-scaling-group-name web"},
		{"aws autoscaling delete-tags --tags x && aws autoscaling suspend-processes -x",
			"aws autoscaling delete-tags --region cn-north-1 --tags x && aws autoscaling suspend-processes --region cn-north-1 -x"},
		{"aws sqs list-queues --region us-east-1", "aws sqs list-queues --region us-east-1"},
		{"asgctl groups --region us-east-1", "asgctl groups --region us-east-1"},
		{"kubectl get nodes", "kubectl get nodes"},
		{"look at the quotas that aws service-quotas lists", "look at the quotas that aws service-quotas lists"},
	} {
		assert.Equalf(t, tt.want, shellword.InRegion("cn-north-1", tt.step), "InRegion(%q)", tt.step)
		got := shellword.InRegion("", tt.step)
		assert.Truef(t, got == tt.step, "without a region, InRegion(%q) = %q", tt.step, got)
		twice := shellword.InRegion("cn-north-1", tt.want)
		assert.Truef(t, twice == tt.want, "InRegion(%q) = %q, want no second region", tt.want, twice)
	}
}
