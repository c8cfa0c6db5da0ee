package scenario

import "embed"

// Systems holds the published set-ups that scenarios and the demo run, one folder each under systems/: the AWS account
// and the workloads.
//
//go:embed systems
var Systems embed.FS
