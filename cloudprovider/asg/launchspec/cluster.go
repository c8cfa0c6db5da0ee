package launchspec

import (
	"fmt"
	"slices"
	"strings"
)

type Statement struct {
	Cluster string `json:"name"`
	Source  string `json:"source"` // such as "tag eks:cluster-name" or "user data"
}

func (s Statement) String() string { return fmt.Sprintf("%q (%s)", s.Cluster, s.Source) }

// SourceUserData is the Source of a name in user data. The Source of an instance tag begins with fromLaunchTemplate.
const (
	SourceUserData     = "user data"
	fromLaunchTemplate = "launch template "
)

// ownedPrefix begins the tag that names the owning cluster of a resource, with the value "owned" (Kubernetes cloud provider for AWS, tags.go). A
// cluster that merely uses the resource sets "shared".
const ownedPrefix = "kubernetes.io/cluster/"

// StatedByTags returns the names in the tags, sorted by key. The Source of each begins with the prefix.
func StatedByTags(tags map[string]string, prefix string) []Statement {
	var stated []Statement
	for key, value := range tags {
		name, isOwner := strings.CutPrefix(key, ownedPrefix)
		switch {
		case key == tagEKSCluster || key == "aws:"+tagEKSCluster:
			name = value
		case !isOwner || value != "owned":
			continue
		}
		if name != "" {
			stated = append(stated, Statement{Cluster: name, Source: prefix + "tag " + key})
		}
	}
	slices.SortFunc(stated, func(a, b Statement) int { return strings.Compare(a.Source, b.Source) })
	return stated
}

func (r *Resolver) stated(userData string, instanceTags map[string]string) []Statement {
	var stated []Statement
	if r.clusterIn != nil && userData != "" {
		if name := r.clusterIn(userData); name != "" {
			stated = append(stated, Statement{Cluster: name, Source: SourceUserData})
		}
	}
	return append(stated, StatedByTags(instanceTags, fromLaunchTemplate)...)
}

// Statements returns the names that the launch source of g states, each once. unread reports that a part of it has not been read and may state
// another cluster: it no longer exists, or may be read soon. A source that we may not read states nothing. Nor does one whose look-ups go on
// failing, where the tags of g state a cluster.
func (r *Resolver) Statements(g *Group) (stated []Statement, unread bool) {
	tagged := len(StatedByTags(g.Tags, "")) > 0
	add := func(found *template, err error, unsure bool) {
		if found == nil {
			unread = unread || !barred(err) && (!tagged || unsure || isGone(err))
			return
		}
		for _, s := range found.stated {
			if !slices.Contains(stated, s) {
				stated = append(stated, s)
			}
		}
	}
	if name := g.Source.ConfigurationName; name != "" {
		found, err := r.configurations.get(name)
		add(found, err, r.configurations.unsure(name))
	}
	for _, ref := range g.Source.launched() {
		found, err := r.templates.get(ref)
		add(found, err, r.templates.unsure(ref))
	}
	return stated, unread
}
