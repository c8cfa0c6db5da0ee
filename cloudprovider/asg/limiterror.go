package asg

import "fmt"

// LimitError tells that a write would have taken a group beyond its limits; nothing was written.
type LimitError struct {
	Group       string
	Desired     int // the desired capacity it would have had
	Limit       int
	LimitIsMost bool
}

func (e *LimitError) Error() string {
	side, verb := "minimum", "below"
	if e.LimitIsMost {
		side, verb = "maximum", "above"
	}
	return fmt.Sprintf("auto scaling group %q: a desired capacity of %d is %s its %s size of %d", e.Group, e.Desired, verb, side, e.Limit)
}

// full is the error of an increase by n for which there is no room: not in the group, of whose room others leave some, or else
// not in the zone.
func (g *Group) full(zone string, n, left int) error {
	e := &LimitError{Group: g.Name, Desired: g.DesiredCapacity + (g.room()-left)*g.Source.MinWeight(), Limit: g.MaxSize, LimitIsMost: true}
	if v := g.zoneGroupIn(zone); v != nil && left > 0 {
		e.Group, e.Desired, e.Limit = v.ID(), v.DesiredCapacity, v.most
	}
	e.Desired += n * g.Source.MinWeight()
	return e
}
