package scenario

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestPairsFillAStructByItsJSONNames(t *testing.T) {
	var got fakeaws.Fault
	require.NoError(t, fromPairs([]string{"action=DescribeInstanceTypes", "code=AccessDenied", "times=3", "params.InstanceTypes.member.1=*"}, &got))
	want := fakeaws.Fault{Action: "DescribeInstanceTypes", Code: "AccessDenied", Times: 3, Params: map[string]string{"InstanceTypes.member.1": "*"}}
	assert.Empty(t, cmp.Diff(want, got), "fault (-want +got)")
}

func TestPairsNameTheirError(t *testing.T) {
	for _, tt := range []struct{ word, want string }{
		{"AccessDenied", "write it as key=value"},
		{"kode=AccessDenied", "kode"},
	} {
		assert.ErrorContainsf(t, fromPairs([]string{tt.word}, &fakeaws.Fault{}), tt.want, "%s: error", tt.word)
	}
}

func TestScriptFindsSystemsAndManifests(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, copyFiles(dir))
	for _, name := range []string{"s0/account.yaml", "s0/workload.yaml", "manifests/deploy/rbac.yaml"} {
		_, err := os.Stat(filepath.Join(dir, name))
		assert.NoError(t, err)
	}
}

func TestCommandsRefuseUnknownNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edit.yaml")
	require.NoError(t, os.WriteFile(file, []byte("maximum: 4\n"), 0o600))
	with := groupScript(t, 0)
	for _, line := range []string{"edit g", "edit g none.yaml", "edit g " + file, "suspend g", "suspend g Sleep", "suspend h Launch", "resume g Wake",
		"interrupt", "interrupt pool=spot notise=40s", "send q", "send q interruptions.go often", "send q interruptions.go", "expect 10s queue q 1",
		"allow", "allow murder", "allow exit undrained", "policy with ec2:DescribeImages", "shadow now"} {
		assert.Errorf(t, with.lines(line), "accepted: %s", line)
	}
	without := &script{Env: &Env{}, path: with.path}
	for _, line := range []string{"edit g " + file, "suspend g Launch", "resume g Launch", "interrupt pool=spot", "send q interruptions.go"} {
		assert.ErrorContainsf(t, without.lines(line), "no AWS account yet", "%s without an account: error", line)
	}
	for _, what := range []string{"instances", "launched"} {
		holds, err := without.expectation(what, []string{"g/us-west-2a", "1"})
		require.NoError(t, err)
		assert.ErrorContainsf(t, eventually(t.Context(), time.Second, what, holds), "no AWS account yet", "%s without an account: error", what)
	}
	for _, line := range []string{"expect 10s", "expect soon desired a 1", "expect 10s desired a", "expect 10s luck a 1", "expect 10s metric m ~ 1",
		"never desired a above many", "never luck"} {
		assert.Errorf(t, without.lines(line), "accepted: %s", line)
	}
	for _, name := range []string{"age", "apply", "bootstrap", "publish", "never"} {
		for _, arguments := range []string{"", " one", " group soon"} {
			assert.Errorf(t, without.lines(name+arguments), "accepted: %s%s", name, arguments)
		}
	}
	assert.Error(t, without.repeat([]string{"soon", "one"}), "accepted: repeat soon one")
	assert.ErrorContains(t, without.lines("dance\n"), "dance", "an unknown command: error, want one that names it")
}
