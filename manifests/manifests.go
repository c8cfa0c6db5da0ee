// Package manifests holds the files with which an operator runs the autoscaler: Kubernetes objects under deploy/, IAM documents
// under iam/, and under interruption/ the queue of spot interruptions with its sources, as CloudFormation and as Terraform.
// They are embedded so that tests read exactly the files that ship. The package imports nothing of the project.
package manifests

import "embed"

// FS holds deploy/*.yaml, iam/*.json and interruption/*, by those paths. It is read-only and safe for concurrent use.
//
//go:embed deploy/*.yaml iam/*.json interruption/*.yaml interruption/*.json
var FS embed.FS
