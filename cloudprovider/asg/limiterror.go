package asg

import "fmt"

// LimitError is the error of a write beyond the group's limits. Nothing was written.
type LimitError struct {
	Group       string
	Desired     int // if it had been written
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

// full returns the error of an increase by n without room: in the group, where left is the part that other zones leave, or else in the
// zone.
func (g *Group) full(zone string, n, left int) error {
	e := &LimitError{Group: g.Name, Desired: g.DesiredCapacity + (g.room()-left)*g.Source.MinWeight(), Limit: g.MaxSize, LimitIsMost: true}
	if v := g.zoneGroupIn(zone); v != nil && left > 0 {
		e.Group, e.Desired, e.Limit = v.ID(), v.DesiredCapacity, v.most
	}
	e.Desired += n * g.Source.MinWeight()
	return e
}
