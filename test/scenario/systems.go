package scenario

import "embed"

// Systems holds the published set-ups of scenarios and the demo, one folder each under systems/: the AWS account and the
// workloads.
//
//go:embed systems
var Systems embed.FS
