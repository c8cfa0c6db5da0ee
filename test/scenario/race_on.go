//go:build race

package scenario

// raceDetector says whether this program was built with the race detector; the autoscaler under test is built alike.
const raceDetector = true
