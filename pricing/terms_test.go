package pricing

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

const ownTable = `# region: cn-northwest-1
# currency: CNY
# date: 2026-11-01
# source: contract of 2026
# basis: half of last year's
# types: unchecked
# a note of 2026, passed over
# spot prices are from the contract
# discount: all 10%
# discount: g5 25.5%
# discount: g5.xlarge 0%
# spot-ratio: 0.3

instance_type,price_per_hour,capacity_type,zone
m5.large,1.1,,
x99.large,2.5,on-demand,
g4dn.xlarge,1.7,spot,
g4dn.xlarge,1.9,spot,cn-northwest-1b
`

// said is everything that terms state.
type said struct {
	List      string
	Spot      map[string]float64 // by type and zone
	Discounts map[string]float64
	SpotRatio float64
}

func saidBy(t *Terms) said {
	s := said{List: t.OnDemand().Format(), Discounts: map[string]float64{}, SpotRatio: t.SpotRatio(), Spot: map[string]float64{}}
	for of, d := range t.discounts {
		s.Discounts[of] = d.off
	}
	for _, r := range t.spot {
		s.Spot[r.instanceType+" "+r.zone] = r.perHour
	}
	return s
}

func TestTermsSayWhatTheTableStates(t *testing.T) {
	want := said{
		List: "# region: cn-northwest-1\n# currency: CNY\n# date: 2026-11-01\n# source: contract of 2026\n# basis: half of last year's\n# types: unchecked\n" +
			columns + "\nm5.large,1.1\nx99.large,2.5\n",
		Spot:      map[string]float64{"g4dn.xlarge ": 1.7, "g4dn.xlarge cn-northwest-1b": 1.9},
		Discounts: map[string]float64{"all": 0.1, "g5": 0.255, "g5.xlarge": 0},
		SpotRatio: 0.3,
	}
	read, err := ParseTerms(ownTable, nil)
	require.NoError(t, err)
	assert.Empty(t, cmp.Diff(want, saidBy(read), nearly), "terms differ (-want +got)")
}

func TestUnknownTypesAreErrorsUnlessUnchecked(t *testing.T) {
	known := []string{"m99.large"}
	for _, tt := range []struct{ name, text, want string }{
		{"slip of the pen", ownHead + columns + "\nm5.large,1\nm5.lrage,1\nm5.xxl,1\n", `line 7: instance type or family "m5.lrage" is not known (2 such in all)`},
		{"spot", ownHead + columns + ",capacity_type,zone\nm5.lrage,1,spot,\n", `line 6: instance type or family "m5.lrage"`},
		{"family of a discount", ownHead + "# discount: g55 10%\n", `line 5: instance type or family "g55"`},
		{"known", ownHead + "# discount: m99 1%\n" + columns + "\nm99.large,1\n", ""},
		{"unchecked", ownHead + "# types: unchecked\n# discount: g55 10%\n" + columns + "\nm5.lrage,1\n", ""},
		{"types of what", ownHead + "# types: all\n", `line 5: types "all" is not "unchecked"`},
	} {
		_, err := ParseTerms(tt.text, known)
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: ParseTerms() error = %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func TestAListOfWhatAWSSellsIsNotChecked(t *testing.T) {
	list, err := NewList(Origin{Region: "us-east-1", Date: readAt, Source: "AWS"}, "USD", map[string]float64{"x99.large": 2, "m5.large": 1})
	require.NoError(t, err)
	own, err := ParseTerms(list.Format(), nil)
	assert.Truef(t, err == nil && own.OnDemand().Len() == 2, "ParseTerms() error = %v, want both types", err)
	for name, perHour := range map[string]float64{"m5.large": math.NaN(), "m5.xlarge": -1, "M5": 1} {
		_, err := NewList(list.Origin(), "USD", map[string]float64{name: perHour})
		assert.Errorf(t, err, "NewList() took %s at %v", name, perHour)
	}
}

func TestTermsNameTheLineAndTheFault(t *testing.T) {
	wide := columns + ",capacity_type,zone\n"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "line 1: there is nothing"},
		{"head only", ownHead, "no prices, no discount and no spot ratio"},
		{"not a table", "hello\n", `line 1: column names "hello"`},
		{"no source", strings.Replace(ownHead, "source", "sauce", 1) + "# discount: all 10%\n", `line 5: the head lacks "source"`},
		{"a fifth column", ownHead + strings.TrimSpace(wide) + ",os\n", "line 5: column names"},
		{"capacity type", ownHead + wide + "m5.large,1,reserved,\n", `line 6: type "m5.large": capacity type "reserved" is neither`},
		{"zone elsewhere", ownHead + wide + "m5.large,1,spot,us-west-2a\n", `line 6: type "m5.large": zone "us-west-2a" is not one of region "us-east-1"`},
		{"zone on demand", ownHead + wide + "m5.large,1,,us-east-1a\n", `line 6: type "m5.large": on-demand prices are the same in every zone`},
		{"twice on demand", ownHead + wide + "m5.large,1,,\nm5.large,1,on-demand,\n", `line 7: type "m5.large" is in line 6 already`},
		{"twice in a zone", ownHead + wide + "m5.large,1,spot,us-east-1a\nm5.large,2,spot,us-east-1a\n", `line 7: spot price of "m5.large" in zone "us-east-1a" is in line 6 already`},
		{"a slip in the head", ownHead + "#Discount:all 10\n", `line 5: discount "all 10" is not of the form`},
		{"no colon", ownHead + "# discount g5 10%\n", `line 5: "# discount g5 10%" is neither "discount: g5 25%" nor "spot-ratio: 0.35"`},
		{"a ratio with a space", ownHead + "# spot ratio: 0.3\n", `line 5: "# spot ratio: 0.3" is neither`},
		{"discount on nothing", ownHead + "# discount: 10%\n", `line 5: discount "10%" is not of the form`},
		{"discount on a name no type has", ownHead + "# discount: G5 10%\n", `line 5: discount on "G5": neither "all" nor a family nor an instance type`},
		{"negative discount", ownHead + "# discount: all -5%\n", `line 5: discount on "all": -5 is not a percentage`},
		{"all of it off", ownHead + "# discount: all 100%\n", `line 5: discount on "all": 100 is not a percentage`},
		{"NaN off", ownHead + "# discount: all NaN%\n", `line 5: discount on "all": NaN is not a percentage`},
		{"two discounts on one", ownHead + "# discount: g5 5%\n# discount: g5 6%\n", `line 6: discount on "g5" is in line 5 already`},
		{"ratio above 1", ownHead + "# spot-ratio: 35\n", "line 5: spot ratio 35 is not a number from 0.001 to 1"},
		{"ratio of 0", ownHead + "# spot-ratio: 0\n", "line 5: spot ratio 0 is not"},
		{"ratio in words", ownHead + "# spot-ratio: third\n", `line 5: spot ratio "third" is not a number`},
		{"two ratios", ownHead + "# spot-ratio: 0.3\n# spot-ratio: 0.4\n", "line 6: a second spot ratio 0.4"},
	} {
		_, err := ParseTerms(tt.text, nil)
		assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want) && strings.HasPrefix(err.Error(), "price list") && len(err.Error()) <= 400,
			"%s: ParseTerms() error = %v, want a short one with %q", tt.name, err, tt.want)
	}
}

func TestAListHasPricesAndNothingElse(t *testing.T) {
	for _, text := range []string{ownHead + "# discount: all 1%\n" + columns + "\nm5.large,1\n", ownHead + columns + ",capacity_type\nm5.large,1,\nm5.large,1,spot\n"} {
		_, err := Parse(text)
		assert.ErrorContains(t, err, "discounts or spot prices", "Parse() error, want a refusal")
	}
}

func FuzzParseTerms(f *testing.F) {
	f.Add(ownTable)
	f.Add(ownHead + "# discount: all 0x1p-4%\n# spot-ratio: 1e-9\n")
	f.Add(ownHead + strings.Repeat("# discount: m5.* 1%\n", 3_000) + columns + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		var own *Terms
		var err error
		costlimit.Check(t, func() { own, err = ParseTerms(text, nil) })
		if err != nil {
			assert.Falsef(t, len(err.Error()) > 2000, "error of %d bytes", len(err.Error()))
			return
		}
		b := NewBook(own.OnDemand().Origin().Region, time.Time{})
		if b.SetTerms(own) != nil {
			return
		}
		for _, r := range append(own.list.rows, row{instanceType: "g5.xlarge"}) {
			zones := []string{b.region + "a", b.region + "b"}
			for _, price := range []func() (Price, bool){
				func() (Price, bool) { return b.OnDemand(r.instanceType) },
				func() (Price, bool) { return b.Spot(r.instanceType, zones) },
				func() (Price, bool) { return b.Spot(r.instanceType, nil) },
			} {
				p, ok := price()
				assert.Falsef(t, ok && (!(p.Amount.PerHour > 0 && p.Amount.PerHour <= maxPerHour) || p.Amount.Currency != b.Currency() || p.Source == ""),
					"price of %q: %+v", r.instanceType, p)
			}
		}
	})
}
