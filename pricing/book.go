package pricing

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"
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
	terms      *Terms                 // nil: the user states nothing
	stands     []func() *standIn      // lists of other regions, the first that has a type counts
	spot       map[string][]SpotQuote // by instance type, one for each zone
	spotIsOld  bool
	relatives  relatives // spot prices derived from similar types
}

// NewBook makes the book of a region over its embedded list. terms may be nil. It returns an error if the terms are for another
// region, or not in the region's currency: amounts in two currencies cannot be compared.
func NewBook(region string, terms *Terms) (*Book, error) {
	b := &Book{region: region}
	first := &layers{generation: 1, currency: Embedded(region).Currency(), own: &List{}}
	if list, ok := embedded[region]; ok {
		first.own = list()
	}
	first.standIns(region)
	b.current.Store(first)
	if terms == nil {
		return b, nil
	}
	if err := b.SetTerms(terms); err != nil {
		return nil, err
	}
	return b, nil
}

// Region is the one that the book is for.
func (b *Book) Region() string { return b.region }

// Currency returns the currency of every answer. In a partition without an embedded list it is the list's that stands in, until
// the user states another.
func (b *Book) Currency() Currency {
	return cmp.Or(b.current.Load().currency, Embedded(worldwide).Currency())
}

// Generation is another number whenever any answer may have changed. It starts at 1 or above and grows.
func (b *Book) Generation() uint64 { return b.current.Load().generation }

// SetTerms replaces the user's terms. If the terms are for another region, or in another currency than the book, it returns an
// error and changes nothing.
func (b *Book) SetTerms(terms *Terms) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	next := *b.current.Load()
	origin, currency := terms.list.Origin(), terms.list.Currency()
	switch {
	case origin.Region != b.region:
		return fmt.Errorf("price list, line %d: the prices are for region %.50q, not for %q: give a list of that region, or where there is none, "+
			`write "region: %s" with a "basis: …", which marks them as estimates`, terms.lines.region, origin.Region, b.region, b.region)
	case next.currency != "" && currency != next.currency:
		return fmt.Errorf("price list, line %d: the prices are in %s, but those of %s are in %s: amounts in two currencies cannot be compared, "+
			"and none is converted, so give the prices in %s", terms.lines.currency, currency, b.region, next.currency, next.currency)
	}
	next.terms, next.currency = terms, currency
	next.standIns(b.region)
	b.replace(&next)
	return nil
}

// replace has the book answer from next. The caller holds writing.
func (b *Book) replace(next *layers) {
	next.generation++
	next.relatives = b.related(next)
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

// listed returns the on-demand price before discounts.
func (l *layers) listed(instanceType string) (Price, bool) {
	if l.terms != nil {
		if price, ok := l.terms.list.Lookup(instanceType); ok {
			return price, true
		}
	}
	if price, ok := l.own.Lookup(instanceType); ok {
		return price, true
	}
	for _, stand := range l.stands {
		if price, ok := stand().price(instanceType); ok {
			return price, true
		}
	}
	return Price{}, false
}
