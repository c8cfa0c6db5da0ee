package access

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/repo/chart"
)

// The replicas with roles of the stock autoscaler.
const (
	stockManifest = "stock-manifest"
	stockChart    = "stock-chart"
)

// stockRoles are the roles of the stock autoscaler's example for AWS, or of its Helm chart's defaults, in the core's module.
func stockRoles(t *testing.T, name string) grants {
	core := moduleDir(t, "k8s.io/autoscaler/cluster-autoscaler")
	if name == stockManifest {
		return parseGrants(t, readFile(t, filepath.Join(core, "cloudprovider/aws/examples/cluster-autoscaler-autodiscover.yaml")))
	}
	helm, err := chart.Helm(t.Context(), "../../..", "v4")
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), helm, "template", "cluster-autoscaler", filepath.Join(core, "charts/cluster-autoscaler"),
		"--set=autoDiscovery.clusterName=eksworkshop").Output()
	require.NoError(t, err)
	return parseGrants(t, string(out))
}

// lostWith are the permissions of rbac.yaml that stock's roles lack.
var lostWith = map[string][]string{
	stockManifest: {
		"list deviceclasses.resource.k8s.io", "list resourceclaims.resource.k8s.io", "list resourceslices.resource.k8s.io",
		"watch deviceclasses.resource.k8s.io", "watch resourceclaims.resource.k8s.io", "watch resourceslices.resource.k8s.io",
	},
}

// worksWithStock scales with stock's roles, and loses what docs/install.md says.
func worksWithStock(t *testing.T, l *lab, name string) {
	g := stockRoles(t, name)
	var lost []string
	for _, a := range shipped(t, "rbac").atoms() {
		if !slices.ContainsFunc(g.atoms(), a.within) {
			lost = append(lost, a.String())
		}
	}
	slices.Sort(lost)
	assert.Empty(t, cmp.Diff(lostWith[name], lost), "permissions that stock lacks (-want +got)")
	r := l.replica(t, name, g)
	r.scales(t)
	r.awaitLog(t, `Could not ask a pod to leave its node.*cannot delete resource`)
	r.awaitLog(t, `Drained a node.*lost=1`)
	if name == stockManifest {
		r.awaitLog(t, `Switched a feature off.*enable-dynamic-resource-allocation.*not permitted`)
	}
	require.NoError(t, r.process.Stop())
}
