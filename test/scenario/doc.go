// Package scenario runs the real autoscaler against an emulated AWS account and a real Kubernetes control plane, and
// tells what happened.
//
// An Env is one such set-up. The autoscaler in it is a child process that knows nothing of being watched: it is
// configured by the flags of a shipped manifest, by the environment variables of the AWS SDK and by the kubeconfig of
// the manifests' own ServiceAccount, so RBAC is enforced. Observers of the API server and of AWS put what they see
// on one Timeline, and only the reasons of a choice are taken from the autoscaler's log. Beside it runs what a cluster on
// EKS has and this control plane lacks: a controller that makes the volumes of claims.
//
// Commands turns an Env into a language for testscript files. test/e2e holds the scripts. An Env owns its processes
// and goroutines, and Close ends them all.
//
// An expectation that has to wait may take about four times as long as it does on two busy cores with the race detector, in steps of
// 10 s. Quick ones may take 10 or 20 s. Where a promise, a timeout or a lease sets the time, that time counts instead.
package scenario
