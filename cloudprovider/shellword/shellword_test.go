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
