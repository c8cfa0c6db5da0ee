// Package why puts decisions of the core and of the autoscaler into an operator's words.
//
// It translates the scheduler's and the core's texts into a decision.Reason, and picks the one true cause out of the answers of all groups
// to a pod. Each message names the cause with its objects and figures. A remedy is a command to paste or a change to make.
//
// All functions are pure and safe for concurrent use. Text from outside is bounded in length, quoted, and free of control characters.
// The package imports neither the Cluster Autoscaler's core nor the AWS SDK.
package why
