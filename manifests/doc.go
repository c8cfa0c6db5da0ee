// Package manifests holds the files with which an operator runs the autoscaler: Kubernetes objects under deploy/, IAM
// documents under iam/, and under interruption/ the queue of spot interruptions with its sources, as CloudFormation and as
// Terraform. The Helm chart is under chart/. The kustomize base, its components and the sources of deploy/'s Deployments are under kustomize/.
// Plugins of k9s are under k9s/.
//
// It owns these files and embeds all but chart/, kustomize/ and k9s/, so that tests and asgctl doctor read exactly the files that ship. It must not import anything of test,
// because nothing that ships may know the emulator.
package manifests
