package scenario

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// race is a report of two accesses, made by the functions given, below a loop of ours that is in every stack.
func race(first, second string) string {
	return raceRule + raceTitle +
		"Read at 0x00c000e262b0 by goroutine 11:\n" + first +
		"  github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process.(*Process).loop()\n      /src/cmd/cluster-autoscaler/process/process.go:128 +0x144\n\n" +
		"Previous write at 0x00c000e262b0 by goroutine 45:\n" + second + "\n" +
		"Goroutine 11 (running) created at:\n  main.main()\n      /src/cmd/cluster-autoscaler/main.go:50 +0x144\n" +
		raceRule
}

func TestOnlyRacesOfOwnAccessesCount(t *testing.T) {
	const (
		core   = "  k8s.io/autoscaler/cluster-autoscaler/clusterstate/utils.(*LogEventRecorder).Eventf()\n      /mod/status.go:60 +0x89\n"
		own    = "  github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg.(*Cache).Refresh()\n      /src/cache.go:60 +0x89\n"
		inMap  = "  runtime.mapassign_faststr()\n      /go/src/internal/runtime/maps/runtime_faststr_swiss.go:263 +0x0\n"
		inSync = "  sync/atomic.StoreInt64()\n      /go/src/sync/atomic/asm.s:1 +0x0\n"
	)
	for _, tt := range []struct {
		name, first, second string
		want                int
	}{
		{"the core with itself", core, core, 0},
		{"ours with the core", own, core, 1},
		{"the core with ours", core, own, 1},
		{"a map of ours", core, inMap + own, 1},
		{"a map of the core", inMap + core, inSync + core, 0},
	} {
		log := "I1120 a line before\n" + race(tt.first, tt.second) + "I1120 a line after\n"
		assert.Equalf(t, tt.want, len(OwnRaces(log)), "%s: races are ours", tt.name)
	}
}
