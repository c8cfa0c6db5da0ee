// Package fakeaws is an emulator of the parts of AWS a node autoscaler talks to: EC2 Auto Scaling, EC2, EKS, SQS, STS and roles of IAM,
// served with their real wire protocols over HTTP on loopback.
//
// A Server keeps the state of one account in one region. It launches and terminates instances in real time, in the
// steps and with the messages of EC2 Auto Scaling, and counts and can fail every call. Attached to a Kubernetes
// cluster it also publishes the Node each instance would register as, and removes it with the instance.
//
// A Config describes the account, in Go or as a YAML file such as testdata/s0.yaml. Faults, shortages and edits come through the
// methods of Server.
//
// Others change the account, too. Deeds, in the Config or one by one, are the actions of schedules, operators, Auto Scaling's
// own processes, EKS and EC2 on its groups. All chance follows the Config's seed.
//
// A Config can ask for the worst that AWS may do:
//
//	strict: true                                         # undocumented behaviour goes wrong by the seed, see Config.Strict
//	throttles: [{service: ec2, burst: 5, perSecond: 1}]  # each action has a token bucket
//	clientTokens: 1m                                     # a token launches again after that time
//	delays: {unlisted: 2s}                               # LaunchInstances raises the desired capacity before its instances are listed
//	launchNeeds: [ec2:RunInstances, iam:PassRole]        # LaunchInstances asks for more permissions than AWS documents
//	deeds: [{kind: replace-root-volume, group: gpu, after: 1m, count: 2}]
//
// SetStale makes readings of groups, activities and instances old. A Shortage with Dies lets EC2 accept launches that then die.
// A Fault with Share or Answers makes Auto Scaling act on a part of a batch, or answer for a part of it.
//
// The bootstrap of a group (NodeConfig) decides what its Nodes show. It can divide their GPUs, and have agents take a start-up taint off
// some time after a Node is Ready:
//
//	mig: {strategy: mixed, devices: {1g.10gb: 7}}             # nvidia.com/mig-1g.10gb: 7 for each GPU, nvidia.com/gpu: 0
//	startupTaints: ["ebs.csi.aws.com/agent-not-ready:NoExecute"]
//	startupTaintsAfterReady: 2s
//
// Its Queues fill like SQS queues that EventBridge rules and lifecycle hooks fill. An interruption is a Deed, or comes with
// Server.Interrupt. The warning is in the queues at once, and the instance goes
// when its notice is over, unless it has gone by then. So a test of a queue's reader says
//
//	s, err := fakeaws.Start(ctx, fakeaws.Config{
//		Queues:            []fakeaws.Queue{{Name: "interruptions", Events: []string{"*"}}},
//		AutoScalingGroups: …,
//	})
//	client := sqs.NewFromConfig(aws.Config{BaseEndpoint: aws.String(s.URL()), Region: s.Region(), …})
//	err = s.Interrupt(instanceID, 40*time.Second)
//
// with any other message through Server.SendMessage, and disorder through Queue.Duplicates, Queue.Shuffles and Queue.Lag.
// Server.Queues shows the messages that are left.
//
// Deviations from AWS that a test may notice:
//
//   - Overrides of a mixed instances policy are taken as ordered by price.
//   - Spot instances spread over several pools only if the Config says so.
//   - Instances are refreshed only as Deeds, and zones rebalanced as Deeds or in a strict account.
//   - Requests are not authenticated. The signature only names the caller. Policies of the Config hold for every caller but those who
//     have assumed a role of CreateRole. AssumeRoleWithWebIdentity asks its trust policy, and does not check the token's signature.
//   - Filters that neither the autoscaler nor stock sends are refused, and requirements for accelerators are not read.
//   - A write to a group that does not exist is not found, whatever the policies say.
//   - Instances that EC2 takes away wait for no lifecycle hook.
//   - Spot instances are terminated, not stopped or hibernated.
//
// launchInstances lists the gaps in the reference of LaunchInstances and how they are filled. The package must not import
// cloudprovider/nodetemplate, whose formulas it checks, nor the core, because the world the autoscaler runs in does not contain it.
//
// Start owns all goroutines of a Server and Close waits for them. Every method of Server is safe for concurrent use.
//
// Decisions: docs/adr/emulated-aws.md.
package fakeaws
