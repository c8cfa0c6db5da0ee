package cooldown

import (
	"fmt"
	"slices"
	"strings"
)

// Failures are the reasons AWS gave for one launch, one for each pool.
type Failures []Failure

// Kind is a group of failures of one class and code in one zone and capacity type: the first of them, and the types of all.
type Kind struct {
	Failure
	types []string
}

// Kinds groups the failures by kind, in the order of first occurrence. A group of hundreds of types without capacity has one kind for
// each zone.
func (f Failures) Kinds() []Kind {
	var kinds []Kind
	for _, failure := range f {
		at := slices.IndexFunc(kinds, func(k Kind) bool {
			return k.Class == failure.Class && k.Code == failure.Code && k.Pool.Zone == failure.Pool.Zone && k.Pool.CapacityType == failure.Pool.CapacityType
		})
		if at < 0 {
			at = len(kinds)
			kinds = append(kinds, Kind{Failure: failure})
		}
		if name := failure.Pool.InstanceType; name != "" && !slices.Contains(kinds[at].types, name) {
			kinds[at].types = append(kinds[at].types, name)
		}
	}
	return kinds
}

// Pools names where the failures occurred, such as "spot m5.large, m5.xlarge, m6i.large and 297 more us-west-2a".
func (k Kind) Pools() string {
	pool := k.Pool
	if len(k.types) > 1 {
		pool.InstanceType = strings.Join(k.types[:min(len(k.types), namedTypes)], ", ")
	}
	if more := len(k.types) - namedTypes; more > 0 {
		pool.InstanceType += fmt.Sprintf(" and %d more", more)
	}
	return pool.String()
}
