package nodetemplate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// An m5.large has 2 vCPUs, 8 GiB and 3 interfaces of 10 addresses, which address 29 pods.
func TestPodsExpression(t *testing.T) {
	m5 := members(t, "m5.large")[0].Type
	for _, tt := range []struct {
		expression string
		want       int64
		unclear    bool // not understood here
	}{
		{expression: "max_pods < 30 ? max_pods : 30", want: 29},
		{expression: "((default_enis - 1) * (ips_per_eni - 1)) + 2", want: 20},
		{expression: "110", want: 110},
		{expression: "vcpus * 10 < max_pods ? vcpus * 10 : max_pods", want: 20},
		{expression: "physical_memory_mib / 1024 > 7 ? 110 : max_pods", want: 110},

		{expression: "int(double(max_pods) * 0.8)", want: 23},

		// Where the result is no number of pods, nodeadm takes the usual one.
		{expression: "0", want: 29},
		{expression: "5 / (max_pods - 29)", want: 29},
		{expression: "3000000000", want: 29},

		{expression: "max_pods > 3", unclear: true},
		{expression: "max_pods +", unclear: true},
		{expression: "0.5", unclear: true},
		{expression: "gpus", unclear: true},
		{expression: strings.Repeat("(", 5000), unclear: true},
		{expression: string(UnknownPods), unclear: true},
	} {
		e := PodsExpression(tt.expression)
		got, ok := e.pods(m5)
		assert.Falsef(t, ok == tt.unclear || e.Understood() == tt.unclear || ok && got != tt.want,
			"%.60q is %d, understood %t, want %d", tt.expression, got, ok, tt.want)
	}
}

func FuzzPodsExpression(f *testing.F) {
	f.Add("max_pods < 30 ? max_pods : (default_enis - 1) * ips_per_eni % 7")
	f.Add(strings.Repeat("-", 1000) + "1")
	f.Add(strings.Repeat("(", 500) + "1" + strings.Repeat(")", 500))
	f.Add(strings.Repeat("1<1?1:", 150) + "1")
	f.Add("[[[[1]]]].size() + 'a'.matches('(a+)+') ? 1 : 2")
	m5 := members(f, "m5.large")[0].Type
	f.Fuzz(func(t *testing.T, text string) {
		e := PodsExpression(text)
		n, ok := e.pods(m5)
		assert.Falsef(t, ok && (n < 1 || n > maxExpressionPods) || ok != e.Understood(), "%q is %d, %t", text, n, ok)
	})
}
