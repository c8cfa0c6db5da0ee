package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
)

// Unmatched says why the filters select none of the groups of a region: how many have each of the tags, and which other tags of the
// autoscaler there are.
func Unmatched(all *source.Reading, filters []ownership.TagFilter) string {
	var counts, others []string
	for _, tag := range slices.Concat(filters...) {
		n := 0
		for _, g := range all.Groups {
			if value, has := g.Tags[tag.Key]; has && (tag.Value == "" || tag.Value == value) {
				n++
			}
		}
		counts = append(counts, fmt.Sprintf("%d with the tag %s", n, strings.TrimSuffix(tag.Key+"="+tag.Value, "=")))
	}
	for _, g := range all.Groups {
		for key, value := range g.Tags {
			if strings.HasPrefix(key, "k8s.io/cluster-autoscaler/") && !strings.HasPrefix(key, templateTag) {
				others = append(others, key+"="+value)
			}
		}
	}
	slices.Sort(others)
	text := fmt.Sprintf("no Auto Scaling group matches: %s has %d groups, %s", cmp.Or(all.Region(all.Groups[0]), "the folder"), len(all.Groups),
		strings.Join(counts, ", "))
	if len(others) > 0 {
		text += ". Tags of the autoscaler there are " + some(slices.Compact(others), maxNames, ",", " and ")
	}
	return text
}
