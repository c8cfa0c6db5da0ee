package pricing

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Book knows the prices of one region: the user's own terms, over the live spot prices, over the embedded list, over estimates by
// the embedded lists of other regions, all in one currency. It does no I/O. Its callers read the sources.
//
// Its parts are immutable and replaced as a whole. It is safe for concurrent use.
type Book struct {
	region  string
	writing sync.Mutex // serialises replacing, reading needs none
	current atomic.Pointer[layers]
}

// layers are the sources of a Book at one moment.
type layers struct {
	generation uint64
	currency   Currency
	own        *List                  // the embedded list of the region itself, or an empty one
	terms      *Terms                 // empty: the user states nothing
	oldBefore  time.Time              // prices of lists before it are estimates
	stands     []func() *standIn      // lists of other regions, the first that has a type counts
	spot       map[string][]SpotQuote // by instance type, one for each zone
	spotIsOld  bool
}

// NewBook makes the book of a region over its embedded list. Prices of lists that are older than a year by now are estimates.
func NewBook(region string, now time.Time) *Book {
	b := &Book{region: region}
	first := &layers{generation: 1, currency: Embedded(region).Currency(), own: &List{}, terms: &Terms{list: &List{}},
		oldBefore: now.AddDate(-1, 0, 0)}
	if list := Embedded(region); list.origin.Region == region {
		first.own = list
	}
	first.standIns(region)
	b.current.Store(first)
	return b
}

// Currency is that of every answer: without an embedded list of the partition, of the list that stands in, until the user states another.
func (b *Book) Currency() Currency {
	return cmp.Or(b.current.Load().currency, Embedded(worldwide).Currency())
}

// Generation is another number whenever any answer may have changed. It starts at 1 or above and grows.
func (b *Book) Generation() uint64 { return b.current.Load().generation }

// SetTerms changes nothing, and returns an error, if the terms are for another region or in another currency than the book: amounts in
// two currencies cannot be compared.
func (b *Book) SetTerms(terms *Terms) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	next := *b.current.Load()
	origin, currency := terms.list.Origin(), terms.list.Currency()
	switch {
	case origin.Region != b.region:
		return fmt.Errorf("price list, line %d: the prices are for region %.50q, not for %q: give a list of that region, or where there is none, "+
			`write "region: %s" with a "basis: …", which marks them as estimates`, terms.lines["region"], origin.Region, b.region, b.region)
	case next.currency != "" && currency != next.currency:
		return fmt.Errorf("price list, line %d: the prices are in %s, but those of %s are in %s: amounts in two currencies cannot be compared, "+
			"and none is converted, so give the prices in %s", terms.lines["currency"], currency, b.region, next.currency, next.currency)
	}
	next.terms, next.currency = terms, currency
	next.standIns(b.region)
	b.replace(&next)
	return nil
}

// ListDate is the date of the list that on-demand prices are first taken from, or of the nearest that stands in.
func (b *Book) ListDate() time.Time {
	if now := b.current.Load(); now.terms.list.Len() > 0 {
		return now.terms.list.origin.Date
	}
	return cmp.Or(Embedded(b.region).origin.Date, Embedded(worldwide).origin.Date)
}

// replace has the book answer from next. The caller holds writing.
func (b *Book) replace(next *layers) {
	next.generation++
	b.current.Store(next)
}

// OnDemand returns the price of an on-demand instance of the type less the user's discount: from the user's own list, else from
// the embedded one, else by the list of another region, as an estimate. The second result is false for a type in no list.
func (b *Book) OnDemand(instanceType string) (Price, bool) {
	now := b.current.Load()
	price, ok := now.listed(instanceType)
	if ok {
		price.Discount = now.terms.discount(instanceType)
		price.Amount.PerHour *= 1 - price.Discount
	}
	return price, ok
}

// Discount is what the user's terms take off the on-demand price of a type, as a ratio from 0 to below 1.
func (b *Book) Discount(instanceType string) float64 {
	return b.current.Load().terms.discount(instanceType)
}

// listed returns the on-demand price before discounts.
func (l *layers) listed(instanceType string) (Price, bool) {
	price, ok := l.terms.list.Lookup(instanceType)
	price.Own = ok
	if !ok {
		price, ok = l.own.Lookup(instanceType)
	}
	if ok && price.Date.Before(l.oldBefore) {
		price.Basis = cmp.Or(price.Basis, "list price, more than a year old")
	}
	if ok {
		return price, true
	}
	for _, stand := range l.stands {
		if price, ok := stand().price(instanceType); ok {
			return price, true
		}
	}
	return Price{}, false
}
