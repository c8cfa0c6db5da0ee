package shellword_test

import (
	"os/exec"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

func TestShellReadsTheSameText(t *testing.T) {
	for _, s := range []string{"", "web", "k8s.io/x=owned", "a b", "it's", "$(id)", "`id`", "a;b&c|d", `"\`, "*?[x]", "a\nb", "~", "#x", "!!", "'; rm -rf /", "é"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellword.Quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("sh reads %q as %q: %v", s, out, err)
		}
	}
	if got := shellword.Quote("web-1/us-east-1a"); got != "web-1/us-east-1a" {
		t.Errorf("a plain word is quoted: %s", got)
	}
}
