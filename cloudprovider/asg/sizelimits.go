package asg

// Limit is a setting that keeps a group from growing or from shrinking. Its sizes are in the group's capacity units.
type Limit struct {
	Flag  string // value of the --nodes flag that has the limit, "" for AWS's own size of the group
	Size  int
	Needs int // the size that one instance more, or one fewer, needs
}

// AtMax returns the settings that another instance would exceed: AWS's, then the ones of --nodes flags. whole is the Auto Scaling group of a
// zone group, or g itself.
func (g *Group) AtMax(whole *Group) []Limit { return g.limits(whole, g.Source.MinWeight()) }

// AtMin is AtMax for one instance fewer, the heaviest one.
func (g *Group) AtMin(whole *Group) []Limit { return g.limits(whole, -g.heaviest()) }

// limits returns the settings that keep the capacity from changing.
func (g *Group) limits(whole *Group, by int) []Limit {
	var reached []Limit
	check := func(flag string, least, most, capacity int) {
		switch needs := max(0, capacity+by); {
		case by > 0 && needs > most:
			reached = append(reached, Limit{Flag: flag, Size: most, Needs: needs})
		case by < 0 && needs < least:
			reached = append(reached, Limit{Flag: flag, Size: least, Needs: needs})
		}
	}
	check("", g.awsMin, g.awsMax, whole.reached())
	if n := g.flag; n.Name != "" {
		check(n.String(), n.MinSize, n.MaxSize, whole.reached())
	}
	if n, limited := g.zoneLimits[g.Zone]; limited {
		check(n.String(), n.MinSize, n.MaxSize, g.DesiredCapacity)
	}
	return reached
}

// ManagedNodegroup names the EKS managed node group whose instances these are, "" and "" for none. EKS writes the group's sizes then.
func (g *Group) ManagedNodegroup() (cluster, name string) { return g.launchGroup().ManagedNodegroup() }
