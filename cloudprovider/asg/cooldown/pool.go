package cooldown

import "strings"

// Pool is where instances come from: one type in one zone, bought in one way. An empty field stands for any.
type Pool struct {
	InstanceType string
	Zone         string
	CapacityType string // awsmessage.OnDemand or Spot
}

func (p Pool) String() string {
	var parts []string
	for _, s := range []string{p.CapacityType, p.InstanceType, p.Zone} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if len(parts) == 0 {
		return "any"
	}
	return strings.Join(parts, " ")
}

// has reports whether p includes the pool q.
func (p Pool) has(q Pool) bool {
	return (p.InstanceType == "" || p.InstanceType == q.InstanceType) && (p.Zone == "" || p.Zone == q.Zone) &&
		(p.CapacityType == "" || q.CapacityType == "" || p.CapacityType == q.CapacityType)
}
