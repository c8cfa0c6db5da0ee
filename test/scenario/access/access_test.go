package access

import "testing"

// everything is the replica that has all permissions and all features.
const everything = "everything"

// The parts share a cluster and an account, and none has to do with another's nodes.
func TestAccess(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	names := []string{everything, explanation, recording, stockManifest, stockChart, asPlugin, pluginWithoutLease}
	names = append(names, kopsReleases...)
	for _, row := range removals {
		names = append(names, row.name)
	}
	l := startLab(t, names...)
	t.Run("every permission is used", func(t *testing.T) { everythingIsUsed(t, l) })
	t.Run("without nominations", func(t *testing.T) { t.Parallel(); worksWithoutNominations(t, l) })
	t.Run("an explanation writes nothing", func(t *testing.T) { t.Parallel(); explainsWithoutWrites(t, l) })
	t.Run("a recorded loop runs again", func(t *testing.T) { t.Parallel(); replaysRecordedLoop(t, l) })
	t.Run("a plugin needs its lease", func(t *testing.T) { t.Parallel(); needsItsLease(t, l) })
	t.Run("a plugin without its lease", func(t *testing.T) { t.Parallel(); servesWithoutItsLease(t, l) })
	for _, name := range []string{stockManifest, stockChart} {
		t.Run(name, func(t *testing.T) { t.Parallel(); worksWithStock(t, l, name) })
	}
	for _, release := range kopsReleases {
		t.Run(release, func(t *testing.T) { t.Parallel(); worksInKOps(t, l, release) })
	}
	for _, row := range removals {
		t.Run("without/"+row.name, func(t *testing.T) { t.Parallel(); doesWithout(t, l, row) })
	}
}
