package ledger

import (
	"maps"
	"slices"
)

// Copy returns a Ledger that knows the same, and that other events may change.
func (l *Ledger) Copy() *Ledger {
	c := *l
	c.desired.past, c.underWay.failed = slices.Clone(l.desired.past), slices.Clone(l.underWay.failed)
	c.underWay.wanted, c.underWay.asked, c.underWay.before = maps.Clone(l.underWay.wanted), maps.Clone(l.underWay.asked), maps.Clone(l.underWay.before)
	c.departed, c.recent, c.arriving = maps.Clone(l.departed), maps.Clone(l.recent), maps.Clone(l.arriving)
	c.gone, c.keyUses = maps.Clone(l.gone), maps.Clone(l.keyUses)
	return &c
}
