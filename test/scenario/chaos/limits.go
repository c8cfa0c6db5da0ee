package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// nominated is in the log of each nomination that the API server has acknowledged.
const nominated = "Nominated a node for a pod"

// limitLines are what the log says where a time limit fires, by the name of the limit.
var limitLines = map[string]string{
	"binpacking of a group":    "Capping binpacking after exceeding max duration",
	"binpacking of a scale-up": "due to exceeding maxBinpackingDuration",
	"loop":                     "because --max-nodegroup-binpacking-duration is over",
	"plan":                     "Ended a plan of scale-ups at its time limit",
}

// enoughHurried is the number of hurried runs in which every limit must fire at least once.
const enoughHurried = 3

// limitCounts counts how often limits fired, by name.
type limitCounts map[string]int

// count adds what a log says.
func (c limitCounts) count(log string) {
	for limit, line := range limitLines {
		c[limit] += strings.Count(log, line)
	}
}

func (c limitCounts) add(more limitCounts) {
	for limit, n := range more {
		c[limit] += n
	}
}

// silent returns the limits that never fired.
func (c limitCounts) silent() (names []string) {
	for _, limit := range slices.Sorted(maps.Keys(limitLines)) {
		if c[limit] == 0 {
			names = append(names, limit)
		}
	}
	return names
}

func (c limitCounts) String() string {
	var list []string
	for _, limit := range slices.Sorted(maps.Keys(limitLines)) {
		list = append(list, fmt.Sprintf("%s %d", limit, c[limit]))
	}
	return strings.Join(list, ", ")
}
