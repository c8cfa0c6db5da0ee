package interruption

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

func TestEndsDistinguishTerminatedFromInterrupted(t *testing.T) {
	start := time.Now()
	warned := []fakeaws.InstanceState{{ID: "i-1", Node: "n-1"}, {ID: "i-2", Node: "n-2"}, {ID: "i-3", Node: "n-3"}, {ID: "i-4", Node: "n-4"}}
	at := func(seconds int, kind fakeaws.EventKind, instance string) fakeaws.Event {
		return fakeaws.Event{Time: start.Add(time.Duration(seconds) * time.Second), Kind: kind, Instance: instance}
	}
	got := endsOf([]fakeaws.Event{
		at(-1, fakeaws.TerminateRequested, "i-4"), at(2, fakeaws.TerminateRequested, "i-1"), at(3, fakeaws.TerminateRequested, "i-9"),
		at(4, fakeaws.Reclaimed, "i-1"), at(5, fakeaws.TerminateRequested, "i-2"), at(120, fakeaws.Reclaimed, "i-3"),
	}, warned, map[string]bool{"n-2": true}, start)
	want := ends{held: kindOfEnd{last: 5 * time.Second}, others: kindOfEnd{last: 2 * time.Second, taken: 1}, left: 1}
	assert.Truef(t, got == want, "ends = %+v, want %+v", got, want)
}

func TestBenchDrainsTwoNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a control plane")
	}
	var out, stderr strings.Builder
	require.Zerof(t, Main(t.Context(), []string{"-nodes", "2"}, &out, &stderr), "exit code: %s", &stderr)
	for _, line := range []string{"nodes warned at once      2, with 3 pods each\n", "ended with pods on them   0\n", "desired capacity          2 before,"} {
		assert.Truef(t, strings.Contains(out.String(), line), "no line %q in:\n%s", line, out.String())
	}
}
