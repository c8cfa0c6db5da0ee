package offer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeoffer"
)

var update = flag.Bool("update", false, "rewrite the offers and lists in testdata")

func written(t testing.TB, products ...[]fakeoffer.Product) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, (fakeoffer.Offer{Products: slices.Values(slices.Concat(products...))}).WriteJSON(&b))
	return b.Bytes()
}

func prices(p Prices) string {
	var lines []string
	for _, name := range p.List.Types() {
		price, _ := p.List.Lookup(name)
		lines = append(lines, name+" "+price.Amount.String())
	}
	return strings.Join(append(lines, p.LeftOut...), "\n")
}

func TestAnOfferBecomesTheListOfARegion(t *testing.T) {
	china := slices.Concat(fakeoffer.Beijing.Sells("m5.large", 1.25), fakeoffer.Ningxia.Sells("m5.large", 1), fakeoffer.Ningxia.Sells("m5.metal", 16))
	china = slices.DeleteFunc(china, func(p fakeoffer.Product) bool { // a few, for the offers are committed
		return p.Software != "NA" || p.OS != "Linux" && p.OS != "Windows" || p.Capacity == "UnusedCapacityReservation" || p.Tenancy == "Host"
	})
	for i := range china {
		china[i].Reserved = min(china[i].Reserved, i%2)
	}
	offer := written(t, china)
	golden(t, "china.json", offer)
	for _, region := range []string{"cn-northwest-1", "cn-north-1"} {
		p, err := Read(bytes.NewReader(offer), Options{Region: region, OS: Linux, Source: "https://example.com/index.json"})
		require.NoError(t, err)
		assert.Empty(t, p.LeftOut, "left out")
		golden(t, p.List.Origin().Region+".prices", []byte(p.List.Format()))
		_, err = pricing.ParseTerms(p.List.Format(), nil)
		assert.NoError(t, err, "not a user's price file")
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Emptyf(t, cmp.Diff(string(want), string(got)), "%s differs (-want +got)", path)
}

func TestTheOperatingSystemWantedIsTaken(t *testing.T) {
	sold := [][]fakeoffer.Product{fakeoffer.Virginia.Sells("m5.large", 0.096), fakeoffer.Virginia.Sells("m5.metal", 4.608)}
	for os, want := range map[OS]string{
		Linux:   "m5.large 0.096 USD/h\nm5.metal 4.608 USD/h",
		Windows: "m5.large 0.192 USD/h\nm5.metal 9.216 USD/h",
		RHEL:    "m5.large 0.144 USD/h\nm5.metal 6.912 USD/h",
	} {
		got, err := Read(bytes.NewReader(written(t, sold...)), Options{Region: "us-east-1", OS: os})
		require.NoErrorf(t, err, "%q", os)
		assert.Emptyf(t, cmp.Diff(want, prices(got)), "%q: prices differ (-want +got)", os)
	}
}

// only returns AWS's one Linux product of a type in the given tenancy, to be changed.
func only(p fakeoffer.Place, instanceType, tenancy string, price float64) fakeoffer.Product {
	for _, one := range p.Sells(instanceType, price) {
		if one.OS == "Linux" && one.Software == "NA" && one.Tenancy == tenancy && one.Capacity == "Used" {
			return one
		}
	}
	panic("nothing sold")
}

func TestOneProductOfSeveralIsTakenOrNone(t *testing.T) {
	shared := only(fakeoffer.Virginia, "m5.large", "Shared", 0.096)
	other := fakeoffer.Virginia.Sells("c5.large", 0.085)
	changed := func(p fakeoffer.Product, change func(p *fakeoffer.Product)) fakeoffer.Product {
		p.SKU, p.Prices = "ANOTHERSKU000000", []fakeoffer.Price{{Unit: "Hrs", Currency: "USD", Amount: "7"}}
		change(&p)
		return p
	}
	priced := func(prices ...fakeoffer.Price) []fakeoffer.Product {
		p := shared
		p.Prices = prices
		return []fakeoffer.Product{p}
	}
	for _, tt := range []struct {
		name string
		sold []fakeoffer.Product
		want string // of m5.large
	}{
		{name: "twice at one price", sold: []fakeoffer.Product{shared, changed(shared, func(p *fakeoffer.Product) { p.Prices = shared.Prices })}, want: "m5.large 0.096 USD/h"},
		{name: "twice at two prices", sold: []fakeoffer.Product{shared, changed(shared, func(*fakeoffer.Product) {})}, want: "m5.large: several prices, 7 and 0.096"},
		{name: "another operation", sold: []fakeoffer.Product{changed(shared, func(p *fakeoffer.Product) { p.Operation = "RunInstances:FFP-1" }), shared}, want: "m5.large 0.096 USD/h"},
		{name: "dedicated", sold: []fakeoffer.Product{only(fakeoffer.Virginia, "m5.large", "Dedicated", 1)}, want: ""},
		{name: "another market", sold: []fakeoffer.Product{changed(shared, func(p *fakeoffer.Product) { p.Market = "CapacityBlock" })}, want: ""},
		{name: "Outposts", sold: []fakeoffer.Product{changed(shared, func(p *fakeoffer.Product) { p.LocationType = "AWS Outposts" })}, want: ""},
		{name: "a host", sold: []fakeoffer.Product{changed(shared, func(p *fakeoffer.Product) { p.Family = "Dedicated Host" })}, want: ""},
		{name: "a family without a size", sold: []fakeoffer.Product{changed(shared, func(p *fakeoffer.Product) { p.Type = "m5" })}, want: ""},
		{name: "older, with fewer attributes", sold: []fakeoffer.Product{changed(shared, func(p *fakeoffer.Product) { p.Market, p.LocationType, p.Family, p.Licence = "", "", "", "" })}, want: "m5.large 7 USD/h"},
		{name: "free", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "0.0000000000"}), want: "m5.large: no on-demand price"},
		{name: "no term", sold: priced(), want: "m5.large: no on-demand price"},
		{name: "per second", sold: priced(fakeoffer.Price{Unit: "Secs", Currency: "USD", Amount: "1"}), want: `m5.large: a price per "Secs", not per hour`},
		{name: "per hour and in all", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "1"}, fakeoffer.Price{Unit: "Quantity", Currency: "USD", Amount: "99"}), want: `m5.large: a price per "Quantity", not per hour`},
		{name: "two dimensions, one price", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "1"}, fakeoffer.Price{Unit: "hrs", Currency: "USD", Amount: "1.00"}), want: "m5.large 1 USD/h"},
		{name: "two dimensions, two prices", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "1"}, fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "2"}), want: "m5.large: several prices, 1 and 2"},
		{name: "two currencies", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "CNY", Amount: "1"}, fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "2"}), want: "m5.large 2 USD/h"},
		{name: "negative", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "-1"}), want: `m5.large: "-1", which is no price`},
		{name: "NaN", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "NaN"}), want: `m5.large: "NaN", which is no price`},
		{name: "absurd", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "1e7"}), want: `m5.large: "1e7", which is no price up to 1000000`},
		{name: "no number", sold: priced(fakeoffer.Price{Unit: "Hrs", Currency: "USD", Amount: "free"}), want: `m5.large: "free", which is no price`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(bytes.NewReader(written(t, other, tt.sold)), Options{Region: "us-east-1", OS: Linux})
			require.NoError(t, err)
			text, found := strings.CutPrefix(prices(got), "c5.large 0.085 USD/h")
			text = strings.TrimSpace(text)
			assert.Falsef(t, !found || tt.want == "" && text != "" || !strings.HasPrefix(text, tt.want),
				"prices = %q, want those of c5.large and %q", text, tt.want)
		})
	}
}

// Metal is sold in both tenancies, and some of it has a price in the dedicated one alone.
func TestBareMetalHasItsSharedPrice(t *testing.T) {
	alone := only(fakeoffer.Virginia, "c5.metal", "Dedicated", 4)
	free := only(fakeoffer.Virginia, "r5.metal", "Shared", 0)
	got, err := Read(bytes.NewReader(written(t, fakeoffer.Virginia.Sells("m5.metal", 4),
		[]fakeoffer.Product{alone, free, only(fakeoffer.Virginia, "r5.metal", "Dedicated", 5)})), Options{Region: "us-east-1", OS: Linux})
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff("c5.metal 4.25 USD/h\nm5.metal 4 USD/h\nr5.metal 5.3125 USD/h", prices(got)), "prices differ (-want +got)")
}

func TestALocalZoneDoesNotStandForItsRegion(t *testing.T) {
	ownCode := fakeoffer.Boston
	ownCode.LocationType, ownCode.Region = "", "us-east-1-bos-1"
	for name, zone := range map[string]fakeoffer.Place{"by its type": fakeoffer.Boston, "by its code": ownCode} {
		offer := written(t, zone.Sells("m5.large", 0.12), fakeoffer.Virginia.Sells("m5.large", 0.096), fakeoffer.Virginia.Sells("c5.large", 0.085), zone.Sells("r5.large", 1))
		got, err := Read(bytes.NewReader(offer), Options{Region: "us-east-1", OS: Linux})
		require.NoError(t, err)
		assert.Emptyf(t, cmp.Diff("c5.large 0.085 USD/h\nm5.large 0.096 USD/h", prices(got)), "%s: prices differ (-want +got)", name)
	}
}

func TestTruncatedOfferIsRefused(t *testing.T) {
	offer := written(t, fakeoffer.Virginia.Sells("m5.large", 0.096)[:3])
	end := bytes.LastIndexAny(offer, "}\"") // what follows is white space
	for length := range offer[:end+1] {
		if length > 20 && length < len(offer)-100 && length%37 > 0 {
			continue // for the time it takes
		}
		_, err := Read(bytes.NewReader(offer[:length]), Options{Region: "us-east-1", OS: Linux})
		require.Errorf(t, err, "cut after %d of %d bytes: no error; the last ones are %q", length, len(offer), offer[max(0, length-40):length])
		require.Falsef(t, length > 2000 && !errors.Is(err, io.ErrUnexpectedEOF),
			"cut after %d of %d bytes: %v, want an unexpected end", length, len(offer), err)
	}
}

func TestTruncatedGzipIsRefused(t *testing.T) {
	offer := written(t, fakeoffer.Virginia.Sells("m5.large", 0.096))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(offer)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err := Read(bytes.NewReader(packed.Bytes()), Options{Region: "us-east-1", OS: Linux})
	require.Truef(t, err == nil && prices(got) == "m5.large 0.096 USD/h", "%v, %v", got, err)
	for _, missing := range []int{1, 8, 9, packed.Len() / 2} { // the last 8 are checksum and length
		_, err := Read(bytes.NewReader(packed.Bytes()[:packed.Len()-missing]), Options{Region: "us-east-1", OS: Linux})
		assert.ErrorIsf(t, err, io.ErrUnexpectedEOF, "without its last %d bytes, want an unexpected end", missing)
	}
}

func TestReadSaysWhatIsWrongWithAnOffer(t *testing.T) {
	sold := fakeoffer.Virginia.Sells("m5.large", 0.096)
	of := func(o fakeoffer.Offer) string {
		var b bytes.Buffer
		if o.Products == nil {
			o.Products = slices.Values(sold)
		}
		require.NoError(t, o.WriteJSON(&b))
		return b.String()
	}
	json := of(fakeoffer.Offer{})
	virginia := Options{Region: "us-east-1", OS: Linux}
	for _, tt := range []struct {
		name, offer string
		options     Options
		want        string
	}{
		{name: "empty", want: "unexpected EOF"},
		{name: "a web page", offer: "<html>", want: "invalid character '<'"},
		{name: "an index of offers", offer: `{"formatVersion": "v1.0", "regions": {"us-east-1": {"currentVersionUrl": "/x"}}}`, want: "is it the offer file of EC2, and not an index"},
		{name: "another service's", offer: of(fakeoffer.Offer{Code: "AmazonRDS"}), want: `it is of "AmazonRDS", not of AmazonEC2`},
		{name: "no date", offer: of(fakeoffer.Offer{Published: "yesterday"}), want: `publication date "yesterday"`},
		{name: "terms first", offer: `{"terms": {}, "products": {}}`, want: "products come after the terms"},
		{name: "products that are a list", offer: `{"products": []}`, want: `byte 14: [ where '{' should be`},
		{name: "something after the end", offer: json + "{}", want: `{ after the end`},
		{name: "brackets that do not match", offer: `{"x": {"y": [1}]}`, want: `invalid character '}' after array element`},
		{name: "a bad escape", offer: `{"offerCode": "\z"}`, want: "invalid character"},
		{name: "nested without end", offer: `{"x":` + strings.Repeat("[", 20_000), want: "exceeded max depth"},
		{name: "a key without end", offer: `{"` + strings.Repeat("x", 3<<20), want: "a value is longer than 1048576 bytes"},
		{name: "another region", offer: json, options: Options{Region: "us-west-2", OS: Linux}, want: `any of 0 types of region "us-west-2"`},
		{name: "nothing wanted in it", offer: strings.ReplaceAll(json, `"Used"`, `"Unused"`), want: "no price of Linux on demand, without further software, for any of 0 types"},
		{name: "no price", offer: strings.ReplaceAll(json, `"Hrs"`, `"Days"`), want: `for any of 1 types of region "us-east-1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.options == (Options{}) {
				tt.options = virginia
			}
			_, err := Read(strings.NewReader(tt.offer), tt.options)
			assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want) && len(err.Error()) <= 1000,
				"Read() error = %v, want one with %q", err, tt.want)
		})
	}
}

func TestTheSourceStaysOneShortLine(t *testing.T) {
	offer := written(t, fakeoffer.Virginia.Sells("m5.large", 0.096))
	got, err := Read(bytes.NewReader(offer), Options{Region: "us-east-1", OS: Linux, Source: "a\nb\x1b[31m " + strings.Repeat("é", 1000)})
	require.NoError(t, err)
	source := got.List.Origin().Source
	assert.Falsef(t, !strings.HasPrefix(source, "AWS price list AmazonEC2 version 20260801123456, Linux, from a b[31m éé") || len(source) > maxSource,
		"source = %q", source)
}
