//go:build !race

package scenario

// raceDetector is true if this program was built with the race detector. The autoscaler under test is built alike.
const raceDetector = false
