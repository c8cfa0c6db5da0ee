package fakeaws

import (
	"math"
	"slices"
	"time"
)

// chance is true half of the time in a strict account, and never in another.
func (a *account) chance() bool { return a.strict && a.random.IntN(2) == 0 }

func (a *account) between(least, most time.Duration) time.Duration {
	return least + time.Duration(a.random.Int64N(int64(most-least)+1))
}

// retryPace is the pause of a group after it could launch nothing.
func (a *account) retryPace() time.Duration {
	wait := time.Duration(a.delays.Retry)
	if !a.strict || wait <= 0 {
		return wait
	}
	return a.between(wait/2, 3*wait)
}

// tokenLife is how long the token of a call that was just answered is known.
func (a *account) tokenLife() time.Duration {
	if a.tokens.known <= 0 || !a.strict {
		return a.tokens.known
	}
	return a.between(a.tokens.known/10, a.tokens.known)
}

// Times between two looks of a strict account at the zones of a group.
const (
	leastBalance = 3 * time.Second
	mostBalance  = 15 * time.Second
)

// balanceItself makes a group of several zones balance them repeatedly, if the account is strict.
func (a *account) balanceItself(g *group) {
	if !a.strict || len(g.Zones) < 2 {
		return
	}
	a.at(time.Now(), Duration(a.between(leastBalance, mostBalance)), func() {
		if a.groups[g.Name] != g || g.deleting {
			return
		}
		if len(g.oldOnes()) == g.inService() {
			a.evenOut(g, "AZRebalance")
		}
		a.balanceItself(g)
	})
}

// some are so many percent of the values, rounded up, in their order. None is left out for 0 percent.
func some[T any](a *account, values []T, percent int) []T {
	if percent <= 0 || percent >= 100 || len(values) == 0 {
		return values
	}
	n := max(1, int(math.Ceil(float64(len(values)*percent)/100)))
	kept := a.random.Perm(len(values))[:n]
	slices.Sort(kept)
	var out []T
	for _, k := range kept {
		out = append(out, values[k])
	}
	return out
}

// shuffled are the values in any order if the account is strict.
func shuffled[T any](a *account, values []T) []T {
	if a.strict {
		a.random.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	}
	return values
}

// Lacks lists the actions that this partition does not know yet, and what another endpoint may lack.
type Lacks struct {
	Actions []string `json:"actions,omitempty"`
	// TemplateIDs has DescribeLaunchTemplateVersions read no ID. It filters by the name, if there is one.
	TemplateIDs bool `json:"templateIds,omitempty"`
}
