// Package backoff decides how long the core leaves a node group alone after a failed scale-up, by the cause of the failure.
//
// A group whose nodes do not come up is left alone for as long as the stock autoscaler's flags say, longer each time. A group
// without capacity in AWS is left alone for three minutes each time, because capacity comes back without notice. A call
// that AWS refused or did not answer says nothing about the group. It is tried again after seconds, and less often while it
// goes on failing.
//
// The package owns the pauses between scale-ups of a group. Cool-downs of single pools belong to cloudprovider/asg. It makes no
// AWS call and imports neither the SDK nor awsclient.
package backoff
