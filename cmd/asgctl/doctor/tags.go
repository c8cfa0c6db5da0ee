package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// ownerPrefix begins the tag by which the cloud controller manager knows an instance of its cluster.
const ownerPrefix = "kubernetes.io/cluster/"

func checkTags(_ context.Context, in *installation, c *Check) (looked bool) {
	in.eachGroup(func(g *group.Group) {
		raw := in.account.value[g.Name]
		in.duplicateTags(c, g, raw)
		in.unpropagatedTags(c, g, raw)
	})
	if in.nodes.missing(c) || in.account.missing(c) {
		return true
	}
	others := maps.Clone(in.account.value)
	for _, g := range in.groups.value.Groups {
		delete(others, g.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		in.undiscovered(c, name, others[name])
	}
	return true
}

// heeded matches the keys that the autoscaler and the cloud controller manager read, in any case: a prefix, what stands before a name
// that the owner chooses, and the rest.
var heeded = regexp.MustCompile(`(?i)(cluster-autoscaler/|^asg-autoscaler\.github\.io/|^kubernetes\.io/cluster/)` +
	`(node-template/label/|node-template/taint/|schedule/)?(.*)`)

// sameTag returns what the keys have in common that people take for this one, or "" if nobody reads the key. The case of a label, a
// taint and a schedule matters.
func sameTag(key string) string {
	switch parts := heeded.FindStringSubmatch(key); {
	case parts == nil:
		return ""
	case parts[2] != "":
		return strings.ToLower(parts[1]+parts[2]) + parts[3]
	default:
		return strings.ToLower(parts[0])
	}
}

// duplicateTags finds keys that people take for one: AWS and the autoscaler distinguish them.
func (in *installation) duplicateTags(c *Check, g *group.Group, raw autoscalingtypes.AutoScalingGroup) {
	first := map[string]string{}
	for _, tag := range raw.Tags {
		key := aws.ToString(tag.Key)
		same := sameTag(key)
		before, twice := first[same]
		if !twice || same == "" {
			first[same] = key
			continue
		}
		wrong := key
		if strings.HasPrefix(key, ownedPrefix) && !strings.HasPrefix(before, ownedPrefix) {
			wrong = before
		}
		c.find(quoted(g), fmt.Sprintf("it has the tags %q and %q, which count as two: only the exact key is obeyed", before, key), "the tags of DescribeAutoScalingGroups",
			shellword.DeleteTag(g.Name, wrong))
	}
}

// unpropagatedTags finds the tag of the cloud controller manager where instances do not get it. The launch template may give it to them.
func (in *installation) unpropagatedTags(c *Check, g *group.Group, raw autoscalingtypes.AutoScalingGroup) {
	for _, tag := range raw.Tags {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		name, owner := strings.CutPrefix(key, ownerPrefix)
		if !owner || value != "owned" || aws.ToBool(tag.PropagateAtLaunch) || slices.ContainsFunc(g.Stated, func(s launchspec.Statement) bool {
			return s.Cluster == name && strings.HasPrefix(s.Source, "launch template")
		}) {
			continue
		}
		c.find(quoted(g), fmt.Sprintf("its tag %q is not propagated at launch: the cloud controller manager does not know the group's instances as nodes of the cluster", key),
			"PropagateAtLaunch of DescribeAutoScalingGroups", shellword.SetTags(g.Name, shellword.Tag{Key: key, Value: value, Propagate: true}))
	}
}

// undiscovered judges a group that the discovery flags do not select. Somebody meant it to be scaled if it has a tag of the autoscaler and its
// instances are nodes of this cluster.
func (in *installation) undiscovered(c *Check, name string, raw autoscalingtypes.AutoScalingGroup) {
	has, ours := map[string]string{}, false
	for _, tag := range raw.Tags {
		has[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		ours = ours || strings.Contains(strings.ToLower(aws.ToString(tag.Key)), "cluster-autoscaler") // in any spelling
	}
	at := slices.IndexFunc(raw.Instances, func(i autoscalingtypes.Instance) bool { return in.nodes.value[aws.ToString(i.InstanceId)] != nil })
	if at < 0 || !ours {
		return
	}
	var lacks []shellword.Tag
	for _, tag := range in.wanted() {
		if value, there := has[tag.Key]; !there || tag.Value != "" && value != tag.Value {
			lacks = append(lacks, shellword.Tag{Key: tag.Key, Value: cmp.Or(tag.Value, "true")})
		}
	}
	if len(lacks) == 0 {
		return
	}
	c.find(fmt.Sprintf("Auto Scaling group %q", name), fmt.Sprintf("it lacks the discovery tag %q, so that it is not scaled", lacks[0].Key),
		fmt.Sprintf("it has a tag of the autoscaler, and its instance %s is the node %s", aws.ToString(raw.Instances[at].InstanceId),
			in.nodes.value[aws.ToString(raw.Instances[at].InstanceId)].Name),
		strings.ReplaceAll(shellword.SetTags(name, lacks...), "\n", ""))
}

func (in *installation) wantedKeys() string {
	var keys []string
	for _, tag := range in.wanted() {
		keys = append(keys, tag.Key)
	}
	return strings.Join(keys, ",")
}
