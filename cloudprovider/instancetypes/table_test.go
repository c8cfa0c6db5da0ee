package instancetypes

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	update = flag.Bool("update", false, "rewrite the embedded table in its one format")
	dump   = flag.String("dump", "", "with -update: a file of aws ec2 describe-instance-types --output json, whose types replace or join the table's")
)

// Types that a dump lacks stay, for no region has all. So do facts that EC2 does not publish.
func TestFormatReproducesEmbeddedTable(t *testing.T) {
	c := Embedded()
	got := Format(c.Types(), c.source, c.date)
	if *update {
		if *dump != "" {
			newer, err := ReadFile(*dump)
			require.NoError(t, err)
			info, err := os.Stat(*dump)
			require.NoError(t, err)
			got = Format(c.With(newer...).Types(), "EC2 DescribeInstanceTypes", info.ModTime().UTC())
		}
		_, err := parse(got)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("data/instance_types.csv", []byte(got), 0o644))
		return
	}
	assert.Empty(t, cmp.Diff(embeddedTable, got), "run make generate (-embedded +formatted)")
}

// BenchmarkParse loads the embedded table, as the first call of Embedded does: go test -bench Parse ./cloudprovider/instancetypes
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(embeddedTable)))
	for b.Loop() {
		_, err := parse(embeddedTable)
		require.NoError(b, err)
	}
}
