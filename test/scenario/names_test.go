package scenario

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// namesScript is a script over an account with group g, and a program that can log two messages.
func namesScript(t *testing.T) *script {
	s := groupScript(t, 0)
	dir := t.TempDir()
	s.binary = filepath.Join(dir, "program")
	log := filepath.Join(dir, "log")
	require.NoError(t, os.WriteFile(s.binary, []byte("\x00Scaled a group down\x00The queue is empty\x00queue_messages_total\x00ErrorReadingQueue\x00"), 0o600))
	require.NoError(t, os.WriteFile(log, []byte("W1 Scaled a group down\n"), 0o600))
	s.logs = []string{log}
	return s
}

func TestUnknownNamesFailProhibitions(t *testing.T) {
	s := namesScript(t)
	for line, want := range map[string]string{
		"never desired g above 0":             "",
		"never desired h above 0":             `no auto scaling group "h"`,
		"never launched g twice within 1s":    "",
		"never launched h twice within 1s":    `no auto scaling group "h"`,
		"never calls LaunchInstances above 0": "",
		"never calls LaunchInstance above 0":  `no action "LaunchInstance"`,
		"expect 1s calls LaunchInstances 0":   "",
		"expect 1s calls LaunchInstance 0":    `no action "LaunchInstance"`,
		"fault action=LaunchInstances code=X": "",
		"fault action=LaunchInstance code=X":  `no action "LaunchInstance"`,
		"logged 1 Scaled.a.group":             "",
		"logged 0 queue":                      "",
		"logged 0 ^E.*queue":                  "",
		"logged 0 (queue|Scaled).*empty$":     "",
		"logged 0 quue":                       `no message of the program holds "quue"`,
		"logged 0 queue|emptied":              `no message of the program holds "emptied"`,
		"logged 0 ^E.*emptied":                `no message of the program holds "emptied"`,
	} {
		err := s.lines(line)
		assert.Truef(t, (want != "" || err == nil) && (want == "" || err != nil && strings.Contains(err.Error(), want)),
			"%s: error %v, want %q", line, err, want)
	}
}

func TestDeletedGroupsKeepTheirNames(t *testing.T) {
	s := namesScript(t)
	require.NoError(t, s.AWS.SetDesired("g", 3))
	require.NoError(t, s.AWS.DeleteGroup("g"))
	require.NoError(t, eventually(t.Context(), startTimeout, "the end of the group", func(context.Context) (bool, string, error) {
		_, there := s.AWS.Group("g")
		return !there, "it", nil
	}))
	assert.NoError(t, s.lines("never desired g above 3"))
	assert.ErrorContains(t, s.lines("never desired g above 2"), "raised to 3", "error, want a raise to 3")
}

func TestUnknownMetricFailsEvenWhereZeroIsExpected(t *testing.T) {
	s := namesScript(t)
	s.Env.autoscaler = scrapePage(t)
	for words, want := range map[string]string{
		`metric cluster_autoscaler_scaled_up_nodes_total{node_group="z"} == 0`: "",
		"metric cluster_autoscaler_queue_messages_total == 0":                  "",
		"metric asg_autoscaler_queue_messages_total <= 1":                      "",
		"metric cluster_autoscaler_queue_message_total == 0":                   `holds "queue_message_total"`,
		`metric cluster_autoscaler_scaled_up_nodes_total{nodegroup="z"} == 0`:  `has no label "nodegroup"`,
	} {
		err := s.expect(append([]string{"1s"}, strings.Fields(words)...))
		assert.Truef(t, (want != "" || err == nil) && (want == "" || err != nil && strings.Contains(err.Error(), want)),
			"%s: error %v, want %q", words, err, want)
	}
}
