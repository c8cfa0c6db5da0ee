package access

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// grants are the rules of a ClusterRole and of a Role in the autoscaler's namespace.
type grants struct{ cluster, namespace []rbacv1.PolicyRule }

// parseGrants collects the rules of all roles in a list of YAML documents, each once.
func parseGrants(t *testing.T, documents string) grants {
	var g grants
	for document := range strings.SplitSeq(documents, "\n---\n") {
		var role rbacv1.ClusterRole // a Role has the same fields
		require.NoError(t, yaml.Unmarshal([]byte(document), &role))
		switch role.Kind {
		case "ClusterRole":
			g.cluster = append(g.cluster, role.Rules...)
		case "Role":
			g.namespace = append(g.namespace, role.Rules...)
		}
	}
	require.True(t, len(g.cluster) != 0, "no ClusterRole")
	return grants{distinct(g.cluster), distinct(g.namespace)}
}

// distinct leaves out the rules that an earlier one equals.
func distinct(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var once []rbacv1.PolicyRule
	for _, rule := range rules {
		if !slices.ContainsFunc(once, func(other rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(rule, other) }) {
			once = append(once, rule)
		}
	}
	return once
}

// shipped are the rules of the named files in manifests/deploy.
func shipped(t *testing.T, names ...string) grants {
	var documents []string
	for _, name := range names {
		raw, err := manifests.FS.ReadFile("deploy/" + name + ".yaml")
		require.NoError(t, err)
		documents = append(documents, string(raw))
	}
	return parseGrants(t, strings.Join(documents, "\n---\n"))
}

func readFile(t *testing.T, path string) string {
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(raw)
}

// An atom is the smallest permission: one verb on one resource, of one name where the rule has names.
type atom struct {
	group, resource, verb, name string
	namespaced                  bool // in the autoscaler's namespace only
}

func (a atom) String() string {
	text := a.verb + " " + a.resource
	if a.group != "" {
		text += "." + a.group
	}
	if a.name != "" {
		text += " " + a.name
	}
	if a.namespaced {
		text += " in the namespace"
	}
	return text
}

// atoms takes the rules apart.
func (g grants) atoms() []atom {
	list := atomsOf(g.cluster)
	for _, a := range atomsOf(g.namespace) {
		a.namespaced = true
		list = append(list, a)
	}
	return list
}

func atomsOf(rules []rbacv1.PolicyRule) []atom {
	var list []atom
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						list = append(list, atom{group: group, resource: resource, verb: verb, name: name})
					}
				}
			}
		}
	}
	return list
}

// allows reports whether the atom is enough for the request of an autoscaler in the namespace.
func (a atom) allows(r controlplane.Request, namespace string) bool {
	resource := r.Resource
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	return a.group == r.Group && a.resource == resource && a.verb == r.Verb &&
		(a.name == "" || a.name == r.Name) && (!a.namespaced || r.Namespace == namespace)
}

// within reports whether the other atom is enough for all that this one is.
func (a atom) within(other atom) bool {
	return a.group == other.group && a.resource == other.resource && a.verb == other.verb &&
		(other.name == "" || other.name == a.name) && (!other.namespaced || a.namespaced)
}

// unused returns the atoms without which every request would be granted as well.
func (g grants) unused(requests []controlplane.Request, namespace string) []atom {
	all := g.atoms()
	needed := map[atom]bool{}
	for _, r := range requests {
		enough := slices.DeleteFunc(slices.Clone(all), func(a atom) bool { return !a.allows(r, namespace) })
		if len(enough) == 1 {
			needed[enough[0]] = true
		}
	}
	return slices.DeleteFunc(all, func(a atom) bool { return needed[a] })
}

// without returns the grants without the one rule that has the resource with the verb, or without that verb of it only.
func (g grants) without(t *testing.T, resource, verb string, only bool) grants {
	gone := 0
	drop := func(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
		var left []rbacv1.PolicyRule
		for _, rule := range rules {
			switch found := slices.Contains(rule.Resources, resource) && slices.Contains(rule.Verbs, verb); {
			case found && only:
				gone++
				rule.Verbs = slices.DeleteFunc(slices.Clone(rule.Verbs), func(v string) bool { return v == verb })
				left = append(left, rule)
			case found:
				gone++
			default:
				left = append(left, rule)
			}
		}
		return left
	}
	left := grants{drop(g.cluster), drop(g.namespace)}
	require.Truef(t, gone == 1, "%d rules have %s %s, want one", gone, verb, resource)
	return left
}

func TestAtomsAllowTheirRequestsOnly(t *testing.T) {
	request := controlplane.Request{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: "n", Name: "l"}
	for _, tt := range []struct {
		atom atom
		want bool
	}{
		{atom{group: "coordination.k8s.io", resource: "leases", verb: "update"}, true},
		{atom{group: "coordination.k8s.io", resource: "leases", verb: "update", name: "l", namespaced: true}, true},
		{atom{group: "coordination.k8s.io", resource: "leases", verb: "update", name: "other"}, false},
		{atom{group: "coordination.k8s.io", resource: "leases", verb: "get"}, false},
		{atom{group: "coordination.k8s.io", resource: "leases/status", verb: "update"}, false},
		{atom{resource: "leases", verb: "update"}, false},
	} {
		t.Run(fmt.Sprintf("%+v", tt.atom), func(t *testing.T) {
			assert.Equal(t, tt.want, tt.atom.allows(request, "n"), "allows")
			elsewhere := tt.atom.allows(request, "m")
			assert.True(t, !elsewhere || !tt.atom.namespaced, "it allows the request in another namespace")
		})
	}
}
