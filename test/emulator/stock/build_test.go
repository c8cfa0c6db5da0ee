package stock

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// go.mod and go.sum hold enough for both autoscalers.
func TestStockAutoscalerUsesThisModulesVersions(t *testing.T) {
	modules, err := modules(t.Context(), AWS)
	require.NoError(t, err)
	for _, want := range []string{mainPackage + " v", "github.com/aws/aws-sdk-go-v2/service/autoscaling v", "k8s.io/client-go v"} {
		assert.Truef(t, slices.ContainsFunc(modules, func(module string) bool { return strings.HasPrefix(module, want) }),
			"no module %q among %d", want, len(modules))
	}
	assert.True(t, key(modules) != key(modules[1:]), "another set of modules has the same key")
}

func TestUnavailableVersionIsNamed(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	_, err := BuildVersion(t.Context(), io.Discard, t.TempDir(), "latest")
	assert.Truef(t, err != nil && strings.Contains(err.Error(), `get version "latest" of the core`) && strings.Contains(err.Error(), "GOPROXY=off"),
		"error %v, want one with the version and the reason", err)
}
