package grouplist

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/reading"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/tagging"
)

// Unmatched says why the filters select none of the groups of a region: how many have each of the tags, and which tags of the
// autoscaler's prefix they have instead.
func Unmatched(all *reading.Reading, filters []asg.TagFilter) string {
	var wanted, counts []string
	for _, tag := range slices.Concat(filters...) {
		n := 0
		for _, g := range all.Groups {
			if value, has := g.Tags[tag.Key]; has && (tag.Value == "" || tag.Value == value) {
				n++
			}
		}
		wanted = append(wanted, tagText(tag.Key, tag.Value))
		counts = append(counts, fmt.Sprintf("%d with the tag %s", n, tagText(tag.Key, tag.Value)))
	}
	text := fmt.Sprintf("no Auto Scaling group matches: %s has %d groups, %s",
		cmp.Or(all.Region(all.Groups[0]), "the folder"), len(all.Groups), strings.Join(counts, ", "))
	if others := otherTags(all.Groups, wanted); len(others) > 0 {
		text += ". Other tags there are " + some(others)
	}
	return text
}

// otherTags are the tags of the autoscaler's prefix that select groups, without those that were wanted.
func otherTags(groups []*asg.Group, wanted []string) []string {
	var found []string
	for _, g := range groups {
		for key, value := range g.Tags {
			if strings.HasPrefix(key, "k8s.io/cluster-autoscaler/") && !strings.HasPrefix(key, tagging.Prefix) &&
				!slices.Contains(wanted, key) && !slices.Contains(wanted, tagText(key, value)) {
				found = append(found, tagText(key, value))
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func tagText(key, value string) string {
	if value == "" {
		return key
	}
	return key + "=" + value
}
