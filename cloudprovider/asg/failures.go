package asg

import (
	"fmt"
	"slices"
	"strings"
)

// namedTypes is how many instance types are named of many that failed alike.
const namedTypes = 3

// failureKind are failures of one class and code in one zone and capacity type: the first of them, and the types of all.
type failureKind struct {
	LaunchFailure
	types []string
}

// kinds are the failures by kind, in the order in which each first occurred. A group of hundreds of types without capacity has one a zone.
func (f Failures) kinds() []failureKind {
	var kinds []failureKind
	for _, failure := range f {
		at := slices.IndexFunc(kinds, func(k failureKind) bool {
			return k.Class == failure.Class && k.Code == failure.Code && k.Pool.Zone == failure.Pool.Zone && k.Pool.CapacityType == failure.Pool.CapacityType
		})
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, failureKind{LaunchFailure: failure})
		}
		if name := failure.Pool.InstanceType; name != "" && !slices.Contains(kinds[at].types, name) {
			kinds[at].types = append(kinds[at].types, name)
		}
	}
	return kinds
}

// pools names where the failures occurred, such as "spot m5.large, m5.xlarge, m6i.large and 297 more us-west-2a".
func (k failureKind) pools() string {
	pool := k.Pool
	if len(k.types) > 1 {
		pool.InstanceType = strings.Join(k.types[:min(len(k.types), namedTypes)], ", ")
	}
	if more := len(k.types) - namedTypes; more > 0 {
		pool.InstanceType += fmt.Sprintf(" and %d more", more)
	}
	return pool.String()
}
