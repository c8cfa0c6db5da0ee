package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// One round of make demo reaches every state. The time of the first call is left to the demo, because tests share their machine.
func TestDemoReachesEveryState(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	if err := scenario.LookAtSources("../../.."); err != nil { // for the cache of go test
		t.Fatal(err)
	}
	binary, err := scenario.BuildAutoscaler(t.Context(), t.TempDir())
	require.NoError(t, err)
	if err := os.Symlink(binary, filepath.Join(filepath.Dir(binary), "asgctl")); err != nil { // the program has both names
		t.Fatal(err)
	}
	s, err := start(t.Context(), binary)
	require.NoError(t, err)
	r, err := runRound(t.Context(), s.Env, s.workload)
	if err == nil {
		err = r.reached()
	}
	if err == nil {
		reach(t, s.howToReach())
	}
	log, readErr := s.Env.Log()
	require.NoError(t, readErr)
	assert.Empty(t, scenario.OwnRaces(log), "data races")
	if err = s.close(err); err != nil {
		t.Error(err)
	}
}

// reach does what make demo KEEP=1 prints: it pastes the commands in their order, and opens the addresses.
func reach(t *testing.T, text string) {
	t.Helper()
	commands, seen := 0, map[string]bool{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "    export "):
			for _, export := range regexp.MustCompile(`([A-Z_]+)=(\S+)`).FindAllStringSubmatch(line, -1) {
				t.Setenv(export[1], export[2])
			}
		case strings.HasPrefix(line, "    "):
			commands++
			out, err := exec.CommandContext(t.Context(), words[0], words[1:]...).CombinedOutput()
			assert.Truef(t, err == nil && len(out) != 0 && (words[1] != "groups" || strings.Contains(string(out), "g4dn-spot")),
				"%s: %v\n%s", line, err, out)
		case strings.Contains(line, ":  ") && strings.Contains(line, "http://"):
			address := words[len(words)-1]
			answer, err := http.Get(address)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("%s: %v, %v", address, answer, err)
				continue
			}
			_ = answer.Body.Close()
			seen[filepath.Base(address)] = true
		}
	}
	assert.Truef(t, commands == 4 && seen["status"] && seen["metrics"] && strings.Contains(text, "make down"),
		"%d commands and the pages %v in:\n%s", commands, seen, text)
}
