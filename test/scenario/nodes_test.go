package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLaunchesOfOneGroupAreHeldApart(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds int, kind fakeaws.EventKind, group, instance string) fakeaws.Event {
		return fakeaws.Event{Time: start.Add(time.Duration(seconds) * time.Second), Kind: kind, Group: group, Instance: instance}
	}
	events := []fakeaws.Event{
		at(0, fakeaws.Launched, "gpu", "i-1"),
		at(1, fakeaws.Launched, "web", "i-2"),
		at(2, fakeaws.InService, "gpu", "i-1"),
		at(30, fakeaws.Launched, "gpu", "i-3"),
	}
	assert.NoError(t, closerThan(20*time.Second, "gpu", events), "30 s apart")
	assert.ErrorContains(t, closerThan(40*time.Second, "gpu", events),
		"i-1 and i-3", "30 s apart where 40 are wanted: error, want one that names both")
}

func TestRepeatedScriptNamesTheFailedLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "round.txt")
	require.NoError(t, os.WriteFile(file, []byte("# a comment\n\nlogged 0 luck\nlogged 1 luck\n"), 0o600))
	s := &script{Env: &Env{binary: file}, path: func(name string) string { return name }}
	err := s.repeat([]string{"2", file})
	assert.Truef(t, err != nil && strings.Contains(err.Error(), "round 1 of 2") && strings.Contains(err.Error(), "logged 1 luck: "),
		"error %v, want one that names round and line", err)
}
