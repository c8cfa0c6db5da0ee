package userdata

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

func TestUserDataIsReadOnce(t *testing.T) {
	data := "#!/bin/bash\n# " + t.Name() + "\n" + strings.Repeat("echo a b\n", 5000)
	anew := costlimit.Allocated(func() { readUncached(data) })
	require.Truef(t, anew >= 1<<18, "reading allocates %d bytes, too few to tell whether it happens", anew)
	Cluster(data) // as when its launch template version is read
	for _, family := range []nodetemplate.AMIFamily{"", nodetemplate.AL2, nodetemplate.AL2023, nodetemplate.Bottlerocket, nodetemplate.Windows} {
		again := costlimit.Allocated(func() { Parse(data, family) })
		assert.Truef(t, again <= 1<<16, "for family %q it is read again: %d bytes were allocated", family, again)
	}
}

func TestRememberedUserDataIsBounded(t *testing.T) {
	for i := range maxCached + 2 {
		Parse(fmt.Sprint("#", i), "")
	}
	Parse(strings.Repeat("#", maxRawBytes+1), "")
	assert.Equal(t, maxCached, cache.Len(), "user data remembered")
	_, kept := cache.Get(strings.Repeat("#", maxRawBytes+1))
	assert.False(t, kept, "user data that is too long for EC2 is remembered")
}

func TestCommonLeavesFactsAsTheyAre(t *testing.T) {
	join := func(args string) string {
		return "#!/bin/bash\n/etc/eks/bootstrap.sh c --kubelet-extra-args '" + args + "'\n"
	}
	first, second := join("--node-labels=a=1,b=2 --kube-reserved=cpu=100m"), join("--node-labels=a=1 --register-with-taints=t=v:NoSchedule --kube-reserved=cpu=200m")
	want := describe(Parse(first, ""))
	one, _ := Parse(first, "")
	other, _ := Parse(second, "")
	common, problems := Common(one, other)
	assert.Truef(t, len(common.Labels) == 1 && len(problems) != 0, "common are labels %v, with problems %v", common.Labels, problems)
	got := describe(Parse(first, ""))
	assert.Truef(t, got == want, "after that it is\n%s\nbefore it was\n%s", got, want)
}

// Bottlerocket takes whatever it is given for its settings.
func TestBottlerocketReadsAnythingAsSettings(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		pods       int
		problems   int
	}{
		{name: "quoted table", data: "['settings'.kubernetes]\nmax-pods = 30\n", pods: 30},
		{name: "a script without its first line", data: "/etc/eks/bootstrap.sh c\n", problems: 1},
		{name: "words", data: "hello world", problems: 1},
	} {
		f, problems := Parse(tt.data, nodetemplate.Bottlerocket)
		assert.Falsef(t, f.MaxPods != tt.pods || len(problems) != tt.problems,
			"%s: %d pods and problems %v, want %d and %d", tt.name, f.MaxPods, problems, tt.pods, tt.problems)
		f, _ = Parse(tt.data, nodetemplate.AL2)
		assert.Emptyf(t, f.Form, "%s: Amazon Linux finds %+v", tt.name, f)
	}
}
