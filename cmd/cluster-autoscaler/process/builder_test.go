package process

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The core's builder cannot take our adapters, so assemble.go, features.go and wiring.go do its work. The golden has every option
// that the builder reads or sets. A line that is new with another version of the core has to be copied by hand.
func TestCoresBuilderKnowsNoFurtherOption(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "k8s.io/autoscaler/cluster-autoscaler/builder").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "*.go"))
	require.Truef(t, err == nil && len(files) != 0, "no source of the core's builder: %v", err)
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(source, func(n ast.Node) bool {
			for _, option := range optionsIn(n) {
				found[option] = true
			}
			return true
		})
	}
	golden(t, "testdata/builder.txt", strings.Join(slices.Sorted(maps.Keys(found)), "\n")+"\n")
}

// optionsIn returns the options of the core and the setters of the builder that the syntax stands for.
func optionsIn(n ast.Node) []string {
	switch n := n.(type) {
	case *ast.SelectorExpr: // autoscalingOptions.ScanInterval
		if on := path(n.X); on == "opts" || on == "opts.Processors" || on == "autoscalingOptions" {
			return []string{path(n)}
		}
	case *ast.CompositeLit: // opts := coreoptions.AutoscalerOptions{KubeClient: ...}
		var keys []string
		if path(n.Type) == "coreoptions.AutoscalerOptions" {
			for _, element := range n.Elts {
				keys = append(keys, "opts."+path(element.(*ast.KeyValueExpr).Key))
			}
		}
		return keys
	case *ast.FuncDecl:
		if n.Recv != nil && n.Name.IsExported() {
			return []string{n.Name.Name + "()"}
		}
	}
	return nil
}

// path returns an identifier with its selectors, "" for any other expression.
func path(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return path(e.X) + "." + e.Sel.Name
	}
	return ""
}
