// Package fromgroup builds the node template of an Auto Scaling group from asg's view of the group and the catalogue's
// facts about its instance types.
//
// It owns the Template with its inputs, by which a caller sees whether it is still right. It makes no call and starts no
// goroutines. It must not import the core, so that the autoscaler and asgctl show the same template.
package fromgroup
