package main

import (
	"fmt"
	"runtime/debug"

	coreversion "k8s.io/autoscaler/cluster-autoscaler/version"
)

// version is this binary's version. The build sets it.
var version = "unknown"

// coreModule is the module of the core.
const coreModule = "k8s.io/autoscaler/cluster-autoscaler"

// coreVersion is the core's own version with its module's version, because the core's own does not change with every commit.
func coreVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == coreModule {
				return fmt.Sprintf("%s (%s %s)", coreversion.ClusterAutoscalerVersion, coreModule, module.Version)
			}
		}
	}
	return coreversion.ClusterAutoscalerVersion
}
