package growth

// A size is how much of everything a cluster has.
type size struct {
	groups   int // of one instance type, without limits that matter
	nodes    int // spread over the first twenty groups
	running  int // pods, which use most of each node
	hopeless int // pods that wait, and that no node can take
	fitting  int // pods that wait, and for which groups can grow
}

// An axis is what grows while all else stays.
type axis struct {
	name, unit string
	first      int // the smallest size. Each of the others is twice the one before
	at         func(n int) size
	once       bool // its figures are of the whole start, because later loops have nothing left to do
}

// steps is how many sizes an axis has.
const steps = 4

func (a axis) sizes(divide int) []int {
	sizes := make([]int, steps)
	for n := range sizes {
		sizes[n] = max(1, a.first/divide) << n
	}
	return sizes
}

// used are the groups that have nodes.
const used = 20

var axes = []axis{
	{name: "groups", unit: "groups", first: 125, at: func(n int) size { return size{groups: n, nodes: used, running: 10 * used} }},
	{name: "nodes", unit: "nodes with 2 pods each", first: 250, at: func(n int) size { return size{groups: used, nodes: n, running: 2 * n} }},
	{name: "pods", unit: "pods on 200 nodes", first: 2500, at: func(n int) size { return size{groups: used, nodes: 200, running: n} }},
	{name: "waiting", unit: "pods of 20 kinds that no group helps", first: 500, at: func(n int) size { return size{groups: used, nodes: used, hopeless: n} }},
	{name: "burst", unit: "pods of 20 kinds that get nodes at once", first: 500, once: true, at: func(n int) size { return size{groups: used, nodes: used, fitting: n} }},
}
