package scenario

import (
	"os"
	"path/filepath"
	"strings"
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
		if err := fromPairs([]string{tt.word}, &fakeaws.Fault{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.word, err, tt.want)
		}
	}
}

func TestScriptFindsSystemsAndManifests(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, copyFiles(dir))
	for _, name := range []string{"s0/account.yaml", "s0/workload.yaml", "manifests/deploy/rbac.yaml"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestExpectRefusesUnknownExpectations(t *testing.T) {
	s := &script{Env: &Env{}}
	for _, args := range [][]string{{"10s"}, {"soon", "desired", "a", "1"}, {"10s", "desired", "a"}, {"10s", "luck", "a", "1"}, {"10s", "metric", "m", "~", "1"}} {
		if err := s.expect(args); err == nil {
			t.Errorf("accepted: expect %q", args)
		}
	}
	for _, args := range [][]string{{}, {"desired", "a", "above", "many"}, {"luck"}} {
		if err := s.never(args); err == nil {
			t.Errorf("accepted: never %q", args)
		}
	}
}
