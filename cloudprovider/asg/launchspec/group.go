package launchspec

import (
	"reflect"
	"slices"
)

// Group is what a Resolver needs to know of an Auto Scaling group. It is immutable.
type Group struct {
	Name               string
	Source             Source
	Tags               map[string]string
	SuspendedProcesses []string
}

// SameSource reports whether both launch from the same place. Either may be nil.
func (g *Group) SameSource(o *Group) bool {
	return g != nil && o != nil && reflect.DeepEqual(g.Source, o.Source) && nodegroupOf(g) == nodegroupOf(o) &&
		slices.Equal(g.SuspendedProcesses, o.SuspendedProcesses)
}
