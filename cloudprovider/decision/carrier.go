package decision

// Carrier carries searches from one report over to another list, each once, for pods that are taken over.
type Carrier struct {
	from   []Search
	to     *[]Search
	places map[int]int // in to, by place in from
}

// NewCarrier makes a Carrier that appends to a list.
func NewCarrier(from []Search, to *[]Search) *Carrier {
	return &Carrier{from: from, to: to, places: map[int]int{}}
}

// Carry carries a search over and returns its place in the list, -1 for none.
func (c *Carrier) Carry(search int) int {
	if search < 0 || search >= len(c.from) {
		return -1
	}
	place, carried := c.places[search]
	if !carried {
		place = len(*c.to)
		*c.to = append(*c.to, c.from[search])
		c.places[search] = place
	}
	return place
}
