//go:build !race

package costlimit

const instrumented = 1
