package pricing

import (
	"slices"
	"time"
)

// Regions are the regions with an embedded list.
var Regions = []string{"cn-north-1", "us-east-1", "us-gov-east-1", "us-gov-west-1"}

// BookWithout is the book of a region whose own list lacks a family.
func BookWithout(region, left string) *Book {
	b := NewBook(region, time.Time{})
	list := *Embedded(region)
	list.rows = slices.DeleteFunc(slices.Clone(list.rows), func(r row) bool { return family(r.instanceType) == left })
	next := *b.current.Load()
	next.own = &list
	next.standIns(region)
	b.current.Store(&next)
	return b
}
