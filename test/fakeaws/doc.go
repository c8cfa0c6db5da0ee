// Package fakeaws is an emulator of the parts of AWS a node autoscaler talks to: EC2 Auto Scaling, EC2, EKS, SQS and STS,
// served with their real wire protocols over HTTP on loopback.
//
// A Server keeps the state of one account in one region. It launches and terminates instances in real time, in the
// steps and with the messages of EC2 Auto Scaling, and counts and can fail every call. Attached to a Kubernetes
// cluster it also publishes the Node each instance would register as, and removes it with the instance.
//
// The account is described by a Config, in Go or as a YAML file (testdata/s0.yaml is one); faults, shortages and edits
// come through the methods of Server or, from other processes, through the admin interface below /_fakeaws/.
//
// The account is not the caller's alone: Deeds, in the Config or one by one, are what schedules, operators, Auto Scaling's own
// processes, EKS and EC2 do to its groups meanwhile. All chance follows the Config's seed.
//
// A Config can ask for the worst that AWS may do:
//
//	strict: true                                         # what AWS leaves open goes wrong by the seed, see SetStrict
//	staleReads: {most: 3s, worst: true}                  # readings of groups, activities and instances are old
//	throttles: [{service: ec2, burst: 5, perSecond: 1}]  # each action has a token bucket
//	clientTokens: 1m                                     # a token launches again after that time
//	deeds: [{kind: replace-root-volume, group: gpu, after: 1m, count: 2}]
//
// The first three can change later, through methods and admin paths. A Shortage with Dies lets EC2 accept launches that then die. A Fault
// with Share or Answers has Auto Scaling act on a part of a batch, or answer for a part of it.
//
// Its Queues fill as EventBridge rules and lifecycle hooks fill those of SQS. An interruption is a Deed, or comes with
// Server.Interrupt or POST /_fakeaws/instances/{id}/interrupt: the warning is in the queues at once, and the instance goes
// when its notice is over, unless it has gone by then. So a test of what reads the queue says
//
//	s, err := fakeaws.Start(ctx, fakeaws.Config{
//		Queues:            []fakeaws.Queue{{Name: "interruptions", Events: []string{"*"}}},
//		AutoScalingGroups: …,
//	})
//	client := sqs.NewFromConfig(aws.Config{BaseEndpoint: aws.String(s.URL()), Region: s.Region(), …})
//	err = s.Interrupt(instanceID, 40*time.Second)
//
// with any other message through Server.SendMessage, disorder through Queue.Duplicates, Queue.Shuffles and Queue.Lag, and
// what became of the messages from Server.Queues.
//
// Deviations from AWS that a test may notice: overrides of a mixed instances policy are taken as ordered by price;
// spot instances spread over several pools only if the Config says so; instances are refreshed only as Deeds, and zones
// rebalanced as Deeds or in a strict account; requests are not authenticated, the signature only tells who calls;
// instances that EC2 takes away wait for no lifecycle hook; spot instances are terminated, not stopped or hibernated. What
// the reference of LaunchInstances leaves open is decided at launchInstances.
//
// Start owns all goroutines of a Server and Close waits for them. Every method of Server is safe for concurrent use.
package fakeaws
