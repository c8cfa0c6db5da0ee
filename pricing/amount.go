package pricing

import (
	"cmp"
	"math"
	"strconv"
	"time"
)

// Currency is an ISO 4217 code, such as USD or CNY.
type Currency string

// Amount is money per hour.
type Amount struct {
	PerHour  float64
	Currency Currency
	// Estimated marks a sum of which any part is an estimate or unknown. A Price says it by its basis.
	Estimated bool
}

func (a Amount) Times(n int) Amount {
	a.PerHour *= float64(n)
	return a
}

// Plus returns the sum of two amounts in one currency. The zero Amount has any.
func (a Amount) Plus(b Amount) Amount {
	return Amount{PerHour: a.PerHour + b.PerHour, Currency: cmp.Or(a.Currency, b.Currency), Estimated: a.Estimated || b.Estimated}
}

// Compare returns a negative number if a is less than b, a positive one if it is more, and 0 if they are equal to a billionth,
// for smaller differences come from binary arithmetic. Both must be in one currency, as all answers of a Book are.
func (a Amount) Compare(b Amount) int {
	return cmp.Compare(math.Round(a.PerHour*1e9), math.Round(b.PerHour*1e9))
}

// String gives the amount with its unit, such as "0.526 USD/h" or "about 0.526 USD/h", to nine decimals at most.
func (a Amount) String() string {
	about := ""
	if a.Estimated {
		about = "about "
	}
	return about + strconv.FormatFloat(math.Round(a.PerHour*1e9)/1e9, 'f', -1, 64) + " " + string(a.Currency) + "/h"
}

// Origin says where and when a figure holds, and who says so.
type Origin struct {
	Region string    // the region the figure is meant for
	Date   time.Time // day of the source, at midnight UTC, or for a live price the moment of its reading
	Source string    // where the figure was read, in words
	Basis  string    // of an estimate, where it comes from, empty for the price itself
	Own    bool      // the user states it
}

// Exact distinguishes a published price from an estimate.
func (o Origin) Exact() bool { return o.Basis == "" }

// Price is what one instance of a type costs.
type Price struct {
	InstanceType string
	Amount       Amount  // to pay, the discount taken off
	Discount     float64 // taken off the listed price, as a ratio from 0 (nothing) to below 1
	Origin
}
