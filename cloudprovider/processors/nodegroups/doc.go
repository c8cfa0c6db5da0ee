// Package nodegroups decides which node groups may grow, which are alike, and how a scale-up is shared among them.
//
// The zone groups of an Auto Scaling group share its limits. The core knows nothing of that and takes each node group for itself, so
// this package has it count the shared limits once. It owns no state, chooses no option and launches nothing. It makes no AWS
// call and imports neither the SDK nor awsclient.
package nodegroups
