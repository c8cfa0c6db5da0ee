package fakeaws

import (
	"math"
	"slices"
	"time"
)

// An account with Config.Strict does the worst that AWS's documents allow, by the seed. Where they say nothing it is a guess on the
// strict side:
//
//   - calls are throttled by StrictThrottles, unless the Config names limits (throttle.go)
//   - an instance that is terminated once more is refused as often as not, and a batch with such an instance, an unknown one, or one
//     too many for the minimum is done for the others as often as not (documented is neither)
//   - activities of a batch are answered in any order (documented is none)
//   - launches that failed everywhere are tried again after half to three times Delays.Retry (documented is that the time grows)
//   - among instances that the termination policy does not tell apart, scale-in takes any (user guide: "at random")
//   - a group of several zones evens them out of its own accord, 3 to 15 seconds after it last looked, unless AZRebalance is suspended
//     (documented is that it does, not when)
//   - client tokens are forgotten after a tenth of Config.ClientTokens, or later (documented is no time)
//
// Readings are of the present, unless Config.StaleReads says otherwise.
//
// SetStrict changes from now on whether the account is strict. Limits of calls stay as they are.
func (s *Server) SetStrict(strict bool) {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	a.strict = strict
	if strict {
		for _, g := range a.sortedGroups() {
			a.balanceItself(g)
		}
	}
}

// chance is true as often as not in a strict account, and never in another.
func (a *account) chance() bool { return a.strict && a.random.IntN(2) == 0 }

// between draws a time.
func (a *account) between(least, most time.Duration) time.Duration {
	return least + time.Duration(a.random.Int64N(int64(most-least)+1))
}

// retryPace is how long a group rests after it could launch nothing.
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

// balanceItself has a group of several zones even them out again and again, while the account is strict.
func (a *account) balanceItself(g *group) {
	if !a.strict || g.balances || len(g.Zones) < 2 {
		return
	}
	g.balances = true
	a.at(time.Now(), Duration(a.between(leastBalance, mostBalance)), func() {
		g.balances = false
		if a.groups[g.Name] != g || g.deleting {
			return
		}
		if a.strict && g.counted() == g.inService() {
			_ = a.rebalance(g, Deed{Kind: Rebalance, Group: g.Name, By: "AZRebalance"})
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
