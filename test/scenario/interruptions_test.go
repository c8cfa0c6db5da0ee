package scenario

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSendPutsAFileIntoAQueue(t *testing.T) {
	aws, err := fakeaws.Start(t.Context(), fakeaws.Config{Queues: []fakeaws.Queue{{Name: "q"}}})
	require.NoError(t, err)
	defer aws.Close()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "garbage"), []byte("{\n"), 0o600))
	s := &script{Env: &Env{AWS: aws}, ctx: t.Context(), path: func(name string) string { return filepath.Join(dir, name) }}
	for _, args := range [][]string{{"q", "garbage"}, {"q", "garbage", "3"}} {
		require.NoError(t, s.send(args))
	}
	holds, err := s.expectation("queue", []string{"q", "4"})
	require.NoError(t, err)
	ok, saw, err := holds(t.Context())
	assert.Truef(t, ok && err == nil, "saw %s messages, %v; want 4", saw, err)
}
