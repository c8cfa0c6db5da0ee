package scenario

import (
	"os"
	"path/filepath"
	"testing"

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

func TestExpectRefusesUnknownExpectations(t *testing.T) {
	s := &script{Env: &Env{}}
	for _, args := range [][]string{{"10s"}, {"soon", "desired", "a", "1"}, {"10s", "desired", "a"}, {"10s", "luck", "a", "1"}, {"10s", "metric", "m", "~", "1"}} {
		assert.Errorf(t, s.expect(args), "accepted: expect %q", args)
	}
	for _, args := range [][]string{{}, {"desired", "a", "above", "many"}, {"luck"}} {
		assert.Errorf(t, s.never(args), "accepted: never %q", args)
	}
}
