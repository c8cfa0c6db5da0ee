package pricing

import (
	"flag"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

const (
	facts = "# region: mars-1\n# currency: CNY\n# date: 2026-01-02\n# source: here\n"
	head  = facts + columns + "\n"
)

var update = flag.Bool("update", false, "rewrite the embedded lists in their one format")

func TestFormatReproducesEmbeddedLists(t *testing.T) {
	for region, table := range map[string]string{"cn-north-1": cnNorth1, "us-east-1": usEast1, "us-gov-east-1": usGovEast1, "us-gov-west-1": usGovWest1} {
		l, err := Parse(table)
		require.NoError(t, err)
		require.Truef(t, l.Origin().Region == region, "the list of %q is in the file of %q", l.Origin().Region, region)
		_, err = ParseTerms(table, nil)
		assert.NoError(t, err, "the list is no user's price file")
		if *update {
			require.NoError(t, os.WriteFile("data/"+region+".csv", []byte(l.Format()), 0o644))
		} else if diff := cmp.Diff(table, l.Format()); diff != "" {
			t.Errorf("run make generate (-embedded +formatted):\n%s", diff)
		}
	}
}

func TestParseAcceptsAnyRowOrderAndLineEnds(t *testing.T) {
	l, err := Parse("# basis: a guess\r\n# note\r\n\n" + strings.ReplaceAll(head, "\n", "\r\n") + "b1.large,2.50\r\na1.large,1e-3")
	require.NoError(t, err)
	want := facts + "# basis: a guess\n" + columns + "\na1.large,0.001\nb1.large,2.5\n"
	assert.Empty(t, cmp.Diff(want, l.Format()), "list differs (-want +got)")
	got, ok := l.Lookup("a1.large")
	assert.Truef(t, ok && !got.Exact(), "Lookup() = %+v, %v, want an estimate", got, ok)
}

func TestParseNamesTheLineAndTheFault(t *testing.T) {
	for _, tt := range []struct{ name, table, want string }{
		{name: "empty", table: "", want: "no prices"},
		{name: "head only", table: head, want: "no prices"},
		{name: "other columns", table: facts + "type,price\n", want: `line 5: column names "type,price"`},
		{name: "no region", table: strings.Replace(head, "# region: mars-1\n", "", 1), want: `line 4: the head lacks "region"`},
		{name: "no date", table: strings.Replace(head, "# date", "# day", 1), want: `line 5: the head lacks "date"`},
		{name: "no source", table: strings.Replace(head, "here", "", 1), want: `line 5: the head lacks "source"`},
		{name: "bad date", table: "# date: yesterday\n", want: `line 1: date "yesterday" is not of the form 2006-01-02`},
		{name: "no currency", table: strings.Replace(head, "CNY", "", 1), want: `line 5: currency "" is not a code`},
		{name: "second currency", table: head + "a1.large,1\n# currency: USD\n", want: `line 7: a second currency "USD"`},
		{name: "field missing", table: head + "a1.large\n", want: `line 6: "a1.large" does not have 2 fields`},
		{name: "type in capitals", table: head + "A1.large,1\n", want: `line 6: "A1.large" is not an instance type`},
		{name: "type without a size", table: head + "a1,1\n", want: `line 6: "a1" is not an instance type`},
		{name: "not a number", table: head + "a1.large,free\n", want: `line 6: type "a1.large": price "free"`},
		{name: "nothing to pay", table: head + "a1.large,0\n", want: `price "0"`},
		{name: "NaN", table: head + "a1.large,NaN\n", want: `price "NaN"`},
		{name: "absurd", table: head + "a1.large,1000001\n", want: "up to 1000000"},
		{name: "twice", table: head + "b1.large,1\na1.large,1\nb1.large,2\n", want: `line 8: type "b1.large" is in line 6 already`},
		{name: "long line", table: head + strings.Repeat("a", 1<<20) + "\n", want: "line 6: longer than 4096 bytes"},
		{name: "too large", table: strings.Repeat("#\n", MaxBytes), want: "larger than"},
	} {
		_, err := Parse(tt.table)
		assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want) && len(err.Error()) <= 300,
			"%s: Parse() error = %v, want a short one with %q", tt.name, err, tt.want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(head + "a1.large,1\n")
	f.Add(cnNorth1[:2000])
	f.Add(head + "a1.large,0x1p-4\n# date: x\n,,\n")
	f.Add(head + strings.Repeat("a,\n", 20_000))
	f.Fuzz(func(t *testing.T, table string) {
		var l *List
		var err error
		costlimit.Check(t, func() { l, err = Parse(table) })
		if err != nil {
			return
		}
		for _, r := range l.rows {
			p, ok := l.Lookup(r.instanceType)
			assert.Falsef(t, !ok || !(p.Amount.PerHour > 0) || math.IsInf(p.Amount.PerHour, 0),
				"Lookup(%q) = %+v, %v", r.instanceType, p, ok)
		}
		text := l.Format()
		again, err := Parse(text)
		require.NoError(t, err, "what Format wrote does not parse")
		assert.Empty(t, cmp.Diff(text, again.Format()), "formatting twice differs")
	})
}

// BenchmarkParse loads the largest embedded list, as its first use does: go test -bench Parse ./pricing
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(usEast1)))
	for b.Loop() {
		_, err := Parse(usEast1)
		require.NoError(b, err)
	}
}
