package chart

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// A stockCase is an entry of testdata/stock.yaml.
type stockCase struct {
	Name, Values, Want string
	Gone               []string
}

func stockCases(t *testing.T) (cases []stockCase) {
	raw, err := os.ReadFile("testdata/stock.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(raw, &cases))
	return cases
}

func TestStockValuesHaveTheirEffect(t *testing.T) {
	charts := map[string]string{"ours": chartDir, "stock": mustStockChart(t)}
	const base = "autoDiscovery: {clusterName: c}\n"
	plain := mustRender(t, base)
	for _, c := range stockCases(t) {
		values := c.Values
		if !strings.Contains(values, "autoDiscovery:") {
			values = base + values
		}
		for name, dir := range charts {
			t.Run(c.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				rendered, err := render(t, dir, values)
				require.NoError(t, err)
				for _, want := range objects(t, c.Want) {
					assert.Truef(t, slices.ContainsFunc(rendered, func(o object) bool { return holds(map[string]any(o), map[string]any(want)) }),
						"no object has this part:\n%s\nrendered:\n%s", text(t, want), text(t, ofKind(rendered, want["kind"])))
					assert.Truef(t, !slices.ContainsFunc(plain, func(o object) bool { return holds(map[string]any(o), map[string]any(want)) }),
						"without the values an object has this part, too:\n%s", text(t, want))
				}
				for _, kind := range c.Gone {
					assert.Emptyf(t, ofKind(rendered, kind), "a %s is rendered", kind)
				}
			})
		}
	}
}

// holds reports whether got has every key of want, and, for a list, every element, in any order. Text that is wanted as a
// map or a list is YAML.
func holds(got, want any) bool {
	if encoded, ok := got.(string); ok {
		if _, ok := want.(string); !ok {
			return yaml.Unmarshal([]byte(encoded), &got) == nil && got != encoded && holds(got, want)
		}
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		for key, value := range want {
			ok = ok && holds(got[key], value)
		}
		return ok
	case []any:
		got, ok := got.([]any)
		for _, value := range want {
			ok = ok && slices.ContainsFunc(got, func(element any) bool { return holds(element, value) })
		}
		return ok
	}
	return reflect.DeepEqual(got, want)
}

func ofKind(rendered []object, kind any) []object {
	return slices.DeleteFunc(slices.Clone(rendered), func(o object) bool { return o["kind"] != kind })
}

func text(t *testing.T, value any) string {
	raw, err := yaml.Marshal(value)
	require.NoError(t, err)
	return string(raw)
}

// ignored matches the stock chart's keys that do nothing on AWS, or nothing in a Kubernetes of today.
var ignored = regexp.MustCompile(`^(azure|civo|clusterAPI|magnum)|^(autoscalingGroupsnamePrefix|kwokConfigMapName|kubeTargetVersionOverride|rbac\.pspEnabled|autoDiscovery\.(namespace|roles|labels)|cloudProvider)$`)

// A key that a later release of the stock chart adds makes this test fail, so that it gets a case or is ignored on purpose.
func TestEveryStockKeyHasACase(t *testing.T) {
	stock := readValues(t, filepath.Join(mustStockChart(t), "values.yaml"))
	covered := map[string]bool{}
	for _, c := range stockCases(t) {
		var values map[string]any
		require.NoErrorf(t, yaml.Unmarshal([]byte(c.Values), &values), "%s", c.Name)
		for _, key := range keys(values, "") {
			covered[key] = true
		}
	}
	found := 0
	for _, key := range keys(stock, "") {
		if ignored.MatchString(key) {
			continue
		}
		found++
		assert.Truef(t, covered[key], "no case shows the effect of %s", key)
	}
	assert.Truef(t, found >= 60, "%d keys found: the stock chart has another form now", found)
}

// The stock chart's own values, and keys of later stock releases, pass our schema.
func TestStockValuesPassTheSchema(t *testing.T) {
	stock := readValues(t, filepath.Join(mustStockChart(t), "values.yaml"))
	delete(stock, "image") // it names the stock autoscaler
	stock["autoDiscovery"].(map[string]any)["clusterName"] = "c"
	stock["azureEnableVMSSEtag"] = false
	stock["rbac"].(map[string]any)["pspEnabled"] = true
	assert.Equal(t, 1, len(ofKind(mustRender(t, text(t, stock)), "Deployment")), "Deployments are rendered")
}

func readValues(t *testing.T, path string) map[string]any {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var values map[string]any
	require.NoErrorf(t, yaml.UnmarshalStrict(raw, &values), "%s", path)
	return values
}

// keys returns the paths of all values below the prefix, sorted. It looks into fixedMaps alone, because the keys of other maps
// are the user's.
func keys(values map[string]any, prefix string) []string {
	var paths []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		path := strings.TrimPrefix(prefix+"."+key, ".")
		if inner, ok := values[key].(map[string]any); ok && slices.Contains(fixedMaps, path) {
			paths = append(paths, keys(inner, path)...)
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

// fixedMaps are the maps with fixed keys.
var fixedMaps = []string{
	"asg", "asg.prices", "autoDiscovery", "dashboard", "deployment", "image", "networkPolicy", "podDisruptionBudget", "podMonitor", "prometheusRule", "rbac", "rbac.serviceAccount",
	"service", "serviceMonitor", "vpa",
}
