package karpenter

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
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
	if err != nil {
		t.Fatal(err)
	}
	dir, err := controlplane.DownloadModule(t.Context(), filepath.Join(root, "test", "emulator", "karpenter", "binaries"), "sigs.k8s.io/karpenter")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "pkg", "apis", "crds", "karpenter.sh_nodepools.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(raw, &definition); err != nil {
		t.Fatal(err)
	}
	if version := regexp.MustCompile(`@v(\d+\.\d+)`).FindStringSubmatch(dir); version == nil || !strings.Contains(string(page), "Karpenter\n"+version[1]) {
		t.Errorf("the page is not about Karpenter %v", version)
	}
	found := 0
	// the parts of a requirement, of a taint and of a reference
	parts := " key operator values value effect timeAdded group kind name "
	definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].leaves(func(name string) {
		if strings.Contains(parts, " "+name+" ") {
			return
		}
		found++
		if !regexp.MustCompile("`" + name + "[:`]").Match(page) {
			t.Errorf("docs/coming-from-karpenter.md does not name %s", name)
		}
	})
	if found < 12 {
		t.Errorf("found %d settings: the definition has another form now", found)
	}
}
