package scenario

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A package that finds methods by name has the linker keep every exported method. The file was a third larger with them, and the resident memory
// 15 MiB more.
func TestProgramHasNoCallsThatItNeverMakes(t *testing.T) {
	path, err := BuildAutoscaler(t.Context(), t.TempDir())
	require.NoError(t, err)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	for function, want := range map[string]bool{
		"service/autoscaling.(*Client).TerminateInstanceInAutoScalingGroup": true,
		"service/autoscaling.(*Client).DeleteAutoScalingGroup":              false,
		"service/ec2.(*Client).TerminateInstances":                          false,
		"text/template.(*state).evalField":                                  false,
	} {
		assert.Equalf(t, want, bytes.Contains(program, []byte(function)), "%s: which package keeps it: go build -ldflags=-dumpdep, ReflectMethod", function)
	}
}
