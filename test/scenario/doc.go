// Package scenario runs the real autoscaler against an emulated AWS account and a real Kubernetes control plane, and records the events.
//
// An Env is one such set-up. The autoscaler in it is a child process that does not know of its observers. It gets the flags of a shipped
// manifest, the environment variables of the AWS SDK and the kubeconfig of the manifests' own ServiceAccount, so RBAC is enforced.
// Observers of the API server and of AWS record events on one Timeline. Only the reasons of a choice come from the autoscaler's log. Beside
// it runs a controller that makes the volumes of claims, which a cluster on EKS has and this control plane lacks.
//
// The stock autoscaler can run in the same Env, so that one of the two replaces the other.
//
// Commands turns an Env into a language for testscript files. test/scenario/e2e holds the scripts. An Env owns its processes and
// goroutines, and Close ends them all.
//
// An expectation that has to wait may take about four times as long as it does on two busy cores with the race detector, in
// steps of 10 s. Quick ones may take 10 or 20 s. Where a promise, a timeout or a lease sets the time, that time counts instead.
package scenario
