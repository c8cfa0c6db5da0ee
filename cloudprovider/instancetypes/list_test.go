package instancetypes

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	update = flag.Bool("update", false, "rewrite the embedded list in its one format")
	dump   = flag.String("dump", "", "with -update: a file of aws ec2 describe-instance-types --output json, whose types replace or join the list's")
)

// format writes types as parse reads them, a line each, sorted by name.
func format(t *testing.T, c *Catalogue, source, date string) string {
	var lines []string
	for _, each := range c.types {
		line, err := json.Marshal(each)
		require.NoError(t, err)
		lines = append(lines, string(line))
	}
	return fmt.Sprintf("{\"Source\":%q,\"Date\":%q,\"Types\":[\n%s\n]}\n", source, date, strings.Join(lines, ",\n"))
}

// Types that a dump lacks stay, for no region has all. So do facts that EC2 does not publish.
func TestFormatReproducesEmbeddedList(t *testing.T) {
	c := Embedded()
	got := format(t, c, c.source, c.date.Format(dateLayout))
	if *update {
		if *dump != "" {
			newer, err := ReadFile(*dump)
			require.NoError(t, err)
			info, err := os.Stat(*dump)
			require.NoError(t, err)
			got = format(t, c.With(newer...), "EC2 DescribeInstanceTypes", info.ModTime().UTC().Format(dateLayout))
		}
		_, err := parse(got)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("data/instance_types.json", []byte(got), 0o644))
		return
	}
	assert.Empty(t, cmp.Diff(embeddedList, got), "run make generate (-embedded +formatted)")
}

// BenchmarkParse loads the embedded list, as the first call of Embedded does: go test -bench Parse ./cloudprovider/instancetypes
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(embeddedList)))
	for b.Loop() {
		_, err := parse(embeddedList)
		require.NoError(b, err)
	}
}
