package decision

// SetLoop replaces the last loop.
func (r *Record) SetLoop(l Loop) {
	r.change(func(f *facts) {
		l.Result = l.Result.clipped(f.process.Region)
		f.loop = l
	})
}

// SetGroups replaces the groups.
func (r *Record) SetGroups(groups func() []Group) {
	r.change(func(f *facts) { f.groups = groupsPart(groups) })
}

// SetPods replaces the pending pods and their searches.
func (r *Record) SetPods(pods func(ByName) Pending) {
	r.change(func(f *facts) { f.pods = podsPart(pods) })
}

// SetNodes replaces the nodes.
func (r *Record) SetNodes(nodes func(ByName) []Node) {
	r.change(func(f *facts) { f.nodes = nodesPart(nodes) })
}
