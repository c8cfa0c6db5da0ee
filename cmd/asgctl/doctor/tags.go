package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	autoscalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

func checkTags(_ context.Context, in *installation, c *Check) (looked bool) {
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
			lacks = append(lacks, shellword.Tag{Key: tag.Key, Value: tag.Usual()})
		}
	}
	if len(lacks) == 0 || in.skipHidden(c) {
		return
	}
	c.find(fmt.Sprintf("Auto Scaling group %q", name), fmt.Sprintf("it lacks the discovery tag %q, so that it is not scaled", lacks[0].Key),
		fmt.Sprintf("it has a tag of the autoscaler, and its instance %s is the node %s", aws.ToString(raw.Instances[at].InstanceId),
			in.nodes.value[aws.ToString(raw.Instances[at].InstanceId)].Name),
		shellword.SetTags(name, lacks...))
}

func (in *installation) wantedKeys() string {
	var keys []string
	for _, tag := range in.wanted() {
		keys = append(keys, tag.Key)
	}
	return strings.Join(keys, ",")
}
