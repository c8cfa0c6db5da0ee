package asg

import "time"

// How old the last complete reading of the groups may be for what is decided on it. Writes read their group anew whatever
// its age; but what nobody has seen for minutes is no ground to choose by.
const (
	oldestToRemove = 3 * time.Minute
	oldestToAdd    = 10 * time.Minute
)

// Age is how long ago the last complete reading of all groups began.
func (c *Cache) Age() time.Duration { return c.clock.Since(c.Snapshot().ReadAt) }

// TooOldToRemove reports whether the last reading is too old to choose nodes to remove by.
func (c *Cache) TooOldToRemove() bool { return c.Age() > max(oldestToRemove, 2*c.refresh) }

// TooOldToAdd reports whether the last reading is too old to choose a group to grow by.
func (c *Cache) TooOldToAdd() bool { return c.Age() > max(oldestToAdd, 2*c.refresh) }
