package fakeoffer

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// Offer is an offer file.
type Offer struct {
	Code      string            // "" is AmazonEC2
	Published string            // RFC 3339, "" is 2026-08-01T12:34:56Z
	Products  iter.Seq[Product] // read three times
}

// Product is one thing for sale, in AWS's words.
type Product struct {
	Place
	SKU, Family, Type, Tenancy, OS, Software, Capacity, Market, Licence, Operation, Usage string
	Prices                                                                                []Price // of its on-demand term, none without such a term
	Reserved                                                                              int     // number of its reserved terms
}

// Price is one price dimension.
type Price struct{ Unit, Currency, Amount string }

// Place is a place of sale.
type Place struct{ Region, Location, LocationType, UsagePrefix, Currency string }

// Places.
var (
	Virginia = Place{"us-east-1", "US East (N. Virginia)", "AWS Region", "", "USD"}
	Oregon   = Place{"us-west-2", "US West (Oregon)", "AWS Region", "USW2-", "USD"}
	Boston   = Place{"us-east-1", "US East (Boston)", "AWS Local Zone", "BOS1-", "USD"}
	Beijing  = Place{"cn-north-1", "China (Beijing)", "AWS Region", "CNN1-", "CNY"}
	Ningxia  = Place{"cn-northwest-1", "China (Ningxia)", "AWS Region", "CNW1-", "CNY"}
)

// system is an operating system with its software, and its cost relative to plain Linux.
type system struct {
	os, software, licence, operation string
	factor                           float64
}

var systems = []system{
	{"Linux", "NA", "No License required", "RunInstances", 1},
	{"Linux", "SQL Std", "No License required", "RunInstances:0004", 4},
	{"Linux", "SQL Web", "No License required", "RunInstances:0200", 1.5},
	{"RHEL", "NA", "No License required", "RunInstances:0010", 1.5},
	{"RHEL", "NA", "Bring your own license", "RunInstances:00g0", 1},
	{"Red Hat Enterprise Linux with HA", "NA", "No License required", "RunInstances:1010", 1.75},
	{"SUSE", "NA", "No License required", "RunInstances:000g", 1.25},
	{"Ubuntu Pro", "NA", "No License required", "RunInstances:0g00", 1.125},
	{"Windows", "NA", "No License required", "RunInstances:0002", 2},
	{"Windows", "NA", "Bring your own license", "RunInstances:0800", 1},
	{"Windows", "SQL Ent", "No License required", "RunInstances:0102", 8},
}

// ways are the ways to run an instance, and their cost relative to plain Linux.
var ways = []struct {
	tenancy, capacity, usage string
	factor                   float64
}{
	{"Shared", "Used", "BoxUsage", 1},
	{"Shared", "UnusedCapacityReservation", "UnusedBox", 1},
	{"Shared", "AllocatedCapacityReservation", "Reservation", 0},
	{"Dedicated", "Used", "DedicatedUsage", 1.0625},
	{"Dedicated", "UnusedCapacityReservation", "UnusedDed", 1.0625},
	{"Dedicated", "AllocatedCapacityReservation", "DedicatedRes", 0},
	{"Host", "Used", "HostBoxUsage", 0},
}

// Sells is everything that AWS sells of one instance type in a place, given the price of plain Linux per hour. Dedicated
// tenancy costs a sixteenth more, RHEL half as much again, Windows twice as much.
func (p Place) Sells(instanceType string, linux float64) []Product {
	var all []Product
	family := "Compute Instance"
	if strings.Contains(instanceType, ".metal") {
		family = "Compute Instance (bare metal)"
	}
	for i, s := range systems {
		for j, w := range ways {
			reserved := 0
			if w.capacity == "Used" && w.factor > 0 {
				reserved = 4
			}
			amount := strconv.FormatFloat(linux*s.factor*w.factor, 'f', 10, 64)
			all = append(all, Product{
				Place: p, SKU: p.sku(instanceType, i*len(ways)+j), Family: family, Type: instanceType, Tenancy: w.tenancy, OS: s.os,
				Software: s.software, Capacity: w.capacity, Market: "OnDemand", Licence: s.licence, Operation: s.operation,
				Usage:  p.UsagePrefix + w.usage + ":" + instanceType,
				Prices: []Price{{"Hrs", p.Currency, amount}}, Reserved: reserved,
			})
		}
	}
	return all
}

// sku makes up a SKU of 16 letters and digits.
func (p Place) sku(instanceType string, number int) string {
	hash := uint64(14695981039346656037)
	for _, b := range []byte(p.Location + instanceType) {
		hash = (hash ^ uint64(b)) * 1099511628211
	}
	name := strings.ToUpper(strconv.FormatUint(hash, 36))
	return fmt.Sprintf("%.13s%03d", name+"0000000000000", number)
}

// Large sells as many types in Virginia and in 31 other regions, by turns, of which all but Virginia are made up. The types
// have the names family<n>.large and cost n thousandths.
func Large(types int) iter.Seq[Product] {
	return func(yield func(Product) bool) {
		for n := 1; n <= types; n++ {
			place := Virginia
			if other := n % 32; other > 0 {
				place = Place{fmt.Sprintf("xx-south-%d", other), fmt.Sprintf("Somewhere (%d)", other), "AWS Region", fmt.Sprintf("XXS%d-", other), "USD"}
			}
			for _, p := range place.Sells(fmt.Sprintf("family%d.large", n), float64(n)/1000) {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// LargeTypeBytes is about how many bytes a type of Large takes.
const LargeTypeBytes = 298_000
