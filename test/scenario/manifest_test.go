package scenario

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShippedFlagsAreTheDeployments(t *testing.T) {
	s, err := readShipped("s0-gpu-spot-china")
	require.NoError(t, err)
	assert.Truef(t, slices.Contains(s.flags, "--expander=least-waste") && !slices.Contains(s.flags, "./cluster-autoscaler"),
		"flags = %q, want the flags of the Deployment without the program's name", s.flags)
	assert.Truef(t, slices.Contains(s.environment, "AWS_REGION=cn-northwest-1"), "environment = %q, want the region", s.environment)
}

func TestUnknownManifestIsAnError(t *testing.T) {
	_, err := readShipped("no-such")
	assert.Error(t, err, "read a manifest that does not ship")
}

func TestAccessHoldsRolesAndServiceAccountOnly(t *testing.T) {
	access, err := readAccess()
	require.NoError(t, err)
	for _, want := range []string{"kind: ClusterRole\n", "kind: Role\n", "kind: RoleBinding\n", "kind: ServiceAccount\n"} {
		assert.Truef(t, strings.Contains(access, want), "access holds no %q", want)
	}
	assert.False(t, strings.Contains(access, "kind: Deployment"), "access would also run the Deployment")
}
