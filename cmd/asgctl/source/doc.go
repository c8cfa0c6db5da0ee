// Package source takes one reading of the Auto Scaling groups, from AWS or from files that the AWS CLI has written, with the
// autoscaler's code.
//
// It only reads. Read returns when it knows as much as the account allows, and leaves no goroutine behind. An Account answers the calls of
// package asg from files, so that everything above it works offline as it does against AWS. It is immutable once loaded and safe for
// concurrent use. A folder holds the output of these commands, each with --output json. Only the first must be there:
//
//	auto-scaling-groups.json        aws autoscaling describe-auto-scaling-groups
//	launch-template-versions.json   aws ec2 describe-launch-template-versions --versions '$Latest' '$Default'
//	launch-configurations.json      aws autoscaling describe-launch-configurations
//	images.json                     aws ec2 describe-images --image-ids …
//	nodegroups.json                 aws eks describe-nodegroup …, once per node group, one after the other
//	instance-types.json             aws ec2 describe-instance-types
//
// Every file may hold several such answers, one after the other or as a list, and lists of the objects themselves.
//
// The package owns the order of the look-ups and the format of these files. It must not import the core, because the CLI shows the
// autoscaler's knowledge of AWS and needs no simulated cluster.
package source
