package manifests

import "embed"

// FS holds deploy/*.yaml, iam/*.json and interruption/*, by those paths. It is read-only and safe for concurrent use.
//
//go:embed deploy/*.yaml iam/*.json interruption/*.yaml interruption/*.json
var FS embed.FS
