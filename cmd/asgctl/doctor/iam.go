package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/ownership"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
)

func checkIAM(ctx context.Context, in *installation, c *Check) (looked bool) {
	if in.clients == nil {
		return !in.account.missing(c)
	}
	if remedy := awsclient.CredentialsRemedy(in.account.err); remedy != "" {
		c.find("the credentials of this command", "there are none: "+awsclient.Brief(in.account.err), "the reading of the groups", remedy)
		return true
	}
	if in.account.err != nil && !awsclient.IsAnswer(in.account.err) {
		return !in.account.missing(c) // each further call would wait in vain
	}
	calls := accountcheck.Permissions(ctx, in.clients)
	var reads []string // allowed ones, too, because the policy replaces the one of an earlier run
	for _, call := range calls {
		if call.Outcome != "not-tried" {
			reads = append(reads, call.Action)
		}
	}
	// A policy of its own: the role's other policies stay.
	grant := "aws iam put-role-policy --role-name ROLE --policy-name cluster-autoscaler-reads --policy-document " +
		fmt.Sprintf(`'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%s,"Resource":"*"}]}'`, shellword.JSON(reads))
	for _, call := range calls {
		next := "asgctl account"
		if call.Denied() {
			next = grant
		}
		switch {
		case call.Outcome == "unreachable": // the other services answer
			c.skip(call.Action, "its call was not answered: "+call.Meaning, "an endpoint of the service that the network, its proxy and DNS reach")
		case slices.Contains([]string{"timeout", "throttled"}, call.Outcome):
			c.skip(call.Action, "its call was not answered: "+call.Meaning, "an answer of AWS: try again, with a longer --timeout")
		case call.Fault():
			c.find(call.Action, "it is "+call.Outcome+": "+call.Meaning, "a harmless call with the credentials of this command, request "+call.RequestID, next)
		}
	}
	c.skip("autoscaling:SetDesiredCapacity, TerminateInstanceInAutoScalingGroup and LaunchInstances", "they change groups, and Auto Scaling has no dry run",
		"iam:SimulatePrincipalPolicy: aws iam simulate-principal-policy --policy-source-arn ROLE_ARN --action-names autoscaling:SetDesiredCapacity "+
			"autoscaling:TerminateInstanceInAutoScalingGroup autoscaling:LaunchInstances --resource-arns GROUP_ARN")
	if in.Queue != "" {
		c.skip("the actions of manifests/iam/interruption-aws.json", "they take messages and answer lifecycle hooks, without a dry run",
			"iam:SimulatePrincipalPolicy: aws iam simulate-principal-policy --policy-source-arn ROLE_ARN --action-names sqs:ReceiveMessage "+
				"sqs:DeleteMessage sqs:ChangeMessageVisibility --resource-arns QUEUE_ARN")
	}
	return true
}

// checkOwnership cannot read the policy. A group without the tag is a fault only where other groups have it, or where its value is wrong.
func checkOwnership(_ context.Context, in *installation, c *Check) (looked bool) {
	const subject = "whether the policy lets the autoscaler change each group"
	own := in.groups.value.Cluster.Cluster
	if own == "" {
		c.skip(subject, "the name of the cluster is not known", "--asg-cluster-name")
		return false
	}
	key := ownership.OwnedPrefix + own
	tagged := false
	in.eachGroup(func(g *group.Group) { tagged = tagged || g.Tags[key] == "owned" })
	in.eachGroup(func(g *group.Group) {
		value, has := g.Tags[key]
		if value == "owned" || !has && !tagged {
			return
		}
		is := "lacks the tag"
		if has {
			is = fmt.Sprintf("has the value %q at the tag", value)
		}
		c.find(quoted(g), fmt.Sprintf("it %s %s = owned: the shipped policy lets the autoscaler neither grow nor shrink it", is, key),
			"DescribeAutoScalingGroups, and the condition of manifests/iam/policy-aws.json", shellword.SetTags(g.Name, shellword.Tag{Key: key, Value: "owned"}))
	})
	if !tagged && len(c.Findings) == 0 && slices.ContainsFunc(in.groups.value.Groups, func(g *group.Group) bool { return !in.foreign(g) }) {
		c.skip(subject, "no group has the tag "+key+" = owned, so the role has another policy than the shipped one, or may change no group",
			"asgctl account --launch GROUP")
		return false
	}
	return true
}

func quoted(g *group.Group) string { return fmt.Sprintf("Auto Scaling group %q", g.Name) }
