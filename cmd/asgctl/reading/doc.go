// Package reading takes one reading of the Auto Scaling groups, from AWS or from files written by the AWS CLI, with the
// autoscaler's code.
//
// It only reads. Read returns when it knows as much as the account allows, and leaves no goroutine behind. The package owns
// the order of the look-ups. It must not import the core, because the CLI shows the autoscaler's knowledge of AWS and needs
// no simulated cluster.
package reading
