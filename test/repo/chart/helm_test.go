package chart

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files and the table in the chart's README")

const (
	root = "../../.."
	// chartDir is our chart, seen from this package.
	chartDir = root + "/manifests/chart"
	// namespace is where the tests install.
	namespace = "kube-system"
)

// helmVersions are the major versions of helm. helm/go.mod pins the rest.
var helmVersions = []string{"v3", "v4"}

// helms are the paths of the built programs, by major version.
var helms = sync.OnceValues(func() (map[string]string, error) {
	paths := map[string]string{}
	for _, version := range helmVersions {
		path, err := Helm(context.Background(), root, version)
		if err != nil {
			return nil, err
		}
		paths[version] = path
	}
	return paths, nil
})

// helm runs helm and returns its standard output. Its error is the standard error.
func helm(t *testing.T, version string, args ...string) (string, error) {
	paths, err := helms()
	require.NoError(t, err)
	if args[0] == "template" { // a helm that is built from its module takes Kubernetes 1.20 for granted
		args = append(args, "--kube-version", "1.35")
	}
	cmd := exec.Command(paths[version], args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w\n%s%s", args[0], err, out.String(), complaints.String())
	}
	return out.String(), nil
}

// mustHelm runs helm and returns its standard output.
func mustHelm(t *testing.T, version string, args ...string) string {
	out, err := helm(t, version, args...)
	require.NoError(t, err)
	return out
}

// image are values with an image. The chart in the sources has no default.
var image = filepath.Join("testdata", "image.values.yaml")

// render renders a chart with the newest helm, an image and the values, as release "test". The values are YAML.
func render(t *testing.T, chart string, values string) ([]object, error) {
	out, err := helm(t, "v4", "template", "test", chart, "--namespace", namespace, "--values", image, "--values", writeValues(t, values))
	if err != nil {
		return nil, err
	}
	return objects(t, out), nil
}

// mustRender renders our chart.
func mustRender(t *testing.T, values string) []object {
	rendered, err := render(t, chartDir, values)
	require.NoError(t, err)
	return rendered
}

func writeValues(t *testing.T, values string) string {
	path := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(path, []byte(values), 0o600))
	return path
}

// stockChart returns the directory of the stock chart of the core's own release, which the module cache holds.
var stockChart = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f={{.Dir}}", "k8s.io/autoscaler/cluster-autoscaler").Output()
	if err != nil {
		return "", fmt.Errorf("find the core's module: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "charts", "cluster-autoscaler"), nil
})

func mustStockChart(t *testing.T) string {
	dir, err := stockChart()
	require.NoError(t, err)
	return dir
}

// object is a Kubernetes object, or a part of one, as YAML is decoded.
type object map[string]any

// objects decodes the documents of a stream.
func objects(t *testing.T, stream string) []object {
	var found []object
	for document := range strings.SplitSeq("\n"+stream, "\n---") {
		var o object
		require.NoErrorf(t, yaml.UnmarshalStrict([]byte(document), &o), "in\n%s", document)
		if len(o) > 0 {
			found = append(found, o)
		}
	}
	return found
}

// find decodes the first object of the kind.
func find(t *testing.T, rendered []object, kind string, into any) {
	t.Helper()
	for _, o := range rendered {
		if o["kind"] != kind {
			continue
		}
		raw, err := yaml.Marshal(o)
		require.NoError(t, err)
		require.NoErrorf(t, yaml.UnmarshalStrict(raw, into), "%s", kind)
		return
	}
	t.Fatalf("no %s is rendered", kind)
}
