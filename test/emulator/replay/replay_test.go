package replay_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/replay"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// configuration is the one beside the recording, else what the recording shows.
func configuration(t *testing.T, path string, recording []accountcheck.Exchange) fakeaws.Config {
	cfg, err := fakeaws.LoadConfig(strings.TrimSuffix(path, ".jsonl") + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return replay.State(t, recording)
	}
	require.NoError(t, err)
	return cfg
}

func TestEmulatorAnswersLikeEachRecording(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.jsonl")
	require.Truef(t, err == nil && len(paths) != 0, "%v: %d recordings", err, len(paths))
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			recording := replay.Read(t, path)
			for _, difference := range replay.Differences(t, configuration(t, path, recording), recording) {
				t.Error(difference)
			}
		})
	}
}

func TestDifferencesNameCallFieldAndValues(t *testing.T) {
	const path = "testdata/public.jsonl"
	call := func(all []accountcheck.Exchange, action, code string) *accountcheck.Exchange {
		return &all[slices.IndexFunc(all, func(e accountcheck.Exchange) bool { return e.Action == action && e.Code == code })]
	}
	firstError := func(all []accountcheck.Exchange) map[string]any {
		return call(all, "LaunchInstances", "").Answer.(map[string]any)["Errors"].([]any)[0].(map[string]any)
	}
	for _, tt := range []struct {
		name   string
		change func(all []accountcheck.Exchange)
		want   string
	}{
		{"other code", func(all []accountcheck.Exchange) {
			call(all, "SetDesiredCapacity", "ValidationError").Code = "ScalingActivityInProgress"
		},
			`SetDesiredCapacity: code: recorded "ScalingActivityInProgress", the emulator sends "ValidationError" (New SetDesiredCapacity`},
		{"refused call", func(all []accountcheck.Exchange) { call(all, "LaunchInstances", "").Code = "ResourceInUse" },
			`Auto Scaling LaunchInstances: code: recorded "ResourceInUse", the emulator sends ""`},
		{"other status", func(all []accountcheck.Exchange) { call(all, "CreateFleet", "DryRunOperation").Status = 200 },
			`EC2 CreateFleet: status: recorded 200, the emulator sends 412`},
		{"further field", func(all []accountcheck.Exchange) { firstError(all)["SubnetCidr"] = "10.0.0.0/8" },
			`Auto Scaling LaunchInstances: Errors[].SubnetCidr: recorded "10.0.0.0/8", the emulator sends none`},
		{"other type", func(all []accountcheck.Exchange) { firstError(all)["MarketType"] = 5.0 },
			`Auto Scaling LaunchInstances: Errors[].MarketType: recorded 5, the emulator sends "`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recording := replay.Read(t, path)
			tt.change(recording)
			found := replay.Differences(t, configuration(t, path, recording), recording)
			assert.Truef(t, len(found) == 1 && strings.Contains(found[0], tt.want), "%q, want one with %q", found, tt.want)
		})
	}
}
