// Package manifests holds what an operator applies to run the autoscaler: Kubernetes objects under deploy/ and IAM
// documents under iam/. They are embedded so that tests read exactly the files that ship.
package manifests

import "embed"

// FS holds deploy/*.yaml and iam/*.json, by those paths. It is read-only and safe for concurrent use.
//
//go:embed deploy/*.yaml iam/*.json
var FS embed.FS
