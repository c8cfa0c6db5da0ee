package karpenter

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

// A schema has the part of a definition's schema that names fields.
type schema struct {
	Properties map[string]schema
	Items      *schema
}

// leaves calls f with the name of each field that has no fields of its own, or a list of values.
func (s schema) leaves(f func(string)) {
	for name, field := range s.Properties {
		for field.Items != nil {
			field = *field.Items
		}
		if len(field.Properties) == 0 {
			f(name)
			continue
		}
		field.leaves(f)
	}
}

func TestEachSettingOfANodePoolHasARow(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "coming-from-karpenter.md"))
	require.NoError(t, err)
	dir, err := controlplane.DownloadModule(t.Context(), filepath.Join(root, "test", "emulator", "karpenter", "binaries"), "sigs.k8s.io/karpenter")
	require.NoError(t, err)
	raw, err := os.ReadFile(filepath.Join(dir, "pkg", "apis", "crds", "karpenter.sh_nodepools.yaml"))
	require.NoError(t, err)
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &definition))
	version := regexp.MustCompile(`@v(\d+\.\d+)`).FindStringSubmatch(dir)
	assert.Truef(t, version != nil && strings.Contains(string(page), "Karpenter\n"+version[1]), "the page is not about Karpenter %v", version)
	found := 0
	// the parts of a requirement, of a taint and of a reference
	parts := " key operator values value effect timeAdded group kind name "
	definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].leaves(func(name string) {
		if strings.Contains(parts, " "+name+" ") {
			return
		}
		found++
		assert.Truef(t, regexp.MustCompile("`"+name+"[:`]").Match(page), "docs/coming-from-karpenter.md does not name %s", name)
	})
	assert.Truef(t, found >= 12, "found %d settings: the definition has another form now", found)
}
