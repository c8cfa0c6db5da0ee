package asg

// Trouble is the latest failure to launch that is known of any pool the group may launch in: one that rests now, or that did
// a while ago and from which nothing has come since. Other pools of the group may work. It makes no call and is safe for
// concurrent use.
func (c *Cache) Trouble(g *Group) (Rest, bool) {
	var latest Rest
	c.rests.mu.Lock()
	defer c.rests.mu.Unlock()
	for _, rest := range c.rests.list {
		if rest.Until.After(latest.Until) && rest.concerns(g) {
			latest = rest
		}
	}
	return latest, !latest.Until.IsZero()
}

// concerns reports whether the rest is of a pool of the group.
func (r Rest) concerns(g *Group) bool {
	if r.Group != "" && r.Group != g.Name {
		return false
	}
	for _, zone := range g.Zones {
		for _, pool := range g.pools(zone) {
			if r.has(pool) {
				return true
			}
		}
	}
	return false
}
