package pricefile

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

const (
	head    = "# region: us-east-1\n# currency: USD\n# date: 2026-11-01\n# source: our contract\n"
	columns = "instance_type,price_per_hour\n"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func TestInvalidPriceFileIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	for _, tt := range []struct{ name, path, want string }{
		{"directory", dir, "is a directory"},
		{"missing", filepath.Join(dir, "none"), "no such file"},
		{"empty", file("empty", ""), "price list, line 1: there is nothing in it"},
		{"unknown type", file("unknown.csv", head+columns+"m5.lrage,1\n"), `price list, line 6: instance type or family "m5.lrage" is not known`},
		{"20 MB", file("large", strings.Repeat("# note\n", 3<<20)), "the file is larger than 8388608 bytes"},
	} {
		_, err := Read(tt.path, nil)
		assert.Truef(t, err != nil && strings.Contains(err.Error(), tt.want) && strings.Contains(err.Error(), tt.path),
			"%s: Read() error = %v, want one with %q and %q", tt.name, err, tt.want, tt.path)
	}
}

func TestAByteOrderMarkIsPassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prices.csv")
	write(t, path, "\ufeff"+head+columns+"m99.large,1\n")
	own, err := Read(path, []string{"m99.large"})
	assert.Truef(t, err == nil && own.OnDemand().Len() == 1, "Read() error = %v, want one price", err)
}

func TestBadFileAtStartIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prices.csv")
	write(t, path, strings.Replace(head, "USD", "CNY", 1)+columns+"m5.large,1\n")
	b := pricing.NewBook("us-east-1", time.Time{})
	_, err := New(Options{Path: path, Book: b, Known: func() []string { return nil }, Clock: clock.RealClock{}})
	assert.Falsef(t, err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "in CNY, but those of us-east-1 are in USD"),
		"New() error = %v, want one with file and currencies", err)
	price, _ := b.OnDemand("m5.large")
	assert.Equalf(t, 0.096, price.Amount.PerHour, "price %+v after a refusal, want the embedded one", price)
}

// world is a Watcher that runs, in time that passes only while all wait.
type world struct {
	t       *testing.T
	dir     string
	book    *pricing.Book
	metrics *prometheus.Registry
	events  []string
}

func (w *world) path() string { return filepath.Join(w.dir, "prices.csv") }

// mount publishes a text as the kubelet does with a ConfigMap: prices.csv leads through ..data to a folder that is exchanged.
func (w *world) mount(name, text string) {
	w.t.Helper()
	require.NoError(w.t, os.Mkdir(filepath.Join(w.dir, name), 0o755))
	write(w.t, filepath.Join(w.dir, name, "prices.csv"), text)
	next := filepath.Join(w.dir, "..data_tmp")
	require.NoError(w.t, os.Symlink(name, next))
	require.NoError(w.t, os.Rename(next, filepath.Join(w.dir, "..data")))
	if err := os.Symlink(filepath.Join("..data", "prices.csv"), w.path()); err != nil && !os.IsExist(err) {
		w.t.Fatal(err)
	}
}

func (w *world) price() float64 {
	price, _ := w.book.OnDemand("m5.large")
	return price.Amount.PerHour
}

func (w *world) gauge(name string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	require.NoError(w.t, err)
	for _, f := range families {
		if f.GetName() == "asg_autoscaler_price_file_"+name {
			return f.Metric[0].Gauge.GetValue()
		}
	}
	w.t.Fatalf("no metric %q", name)
	return 0
}

func mounted(t *testing.T, text string, test func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		b := pricing.NewBook("us-east-1", time.Time{})
		w := &world{t: t, dir: t.TempDir(), book: b, metrics: prometheus.NewRegistry()}
		w.mount("..first", text)
		watcher, err := New(Options{Path: w.path(), Book: b, Known: func() []string { return nil }, Clock: clock.RealClock{},
			Registerer: w.metrics, Event: func(kind, reason, message string) { w.events = append(w.events, kind+" "+reason+" "+message) }})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- watcher.Run(ctx) }()
		synctest.Wait()
		test(t, w)
		cancel()
		assert.NoError(t, <-ended, "Run()")
	})
}

func pass() {
	time.Sleep(3*pollInterval + time.Second)
	synctest.Wait()
}

func TestAConfigMapThatChangesIsTaken(t *testing.T) {
	mounted(t, head+columns+"m5.large,0.08\n", func(t *testing.T, w *world) {
		began := time.Now()
		require.Equal(t, 0.08, w.price(), "price, want the file's")
		first := w.book.Generation()
		pass()
		assert.True(t, w.book.Generation() == first, "a file that did not change was taken again")
		w.mount("..second", head+columns+"m5.large,0.07\n")
		time.Sleep(pollInterval)
		assert.Equal(t, 0.08, w.price(), "a change was taken before a second reading agreed on it")
		pass()
		assert.Truef(t, w.price() == 0.07 && w.book.Generation() != first, "price %v after the change, want 0.07", w.price())
		at := w.gauge("accepted_timestamp_seconds")
		assert.Falsef(t, at <= float64(began.Unix()) || w.gauge("refused") != 0 || len(w.events) != 0,
			"accepted at %v, refused %v, events %q", at, w.gauge("refused"), w.events)
	})
}

func TestBadFileKeepsLastGoodOne(t *testing.T) {
	for _, tt := range []struct {
		name string
		turn func(w *world)
		want string // in the event
	}{
		{"not a price", func(w *world) { w.mount("..bad", head+columns+"m5.large,NaN\n") }, `prices.csv": price list, line 6: type "m5.large": price "NaN"`},
		{"other currency", func(w *world) { w.mount("..bad", strings.Replace(head, "USD", "CNY", 1)+columns+"m5.large,1\n") }, "in CNY"},
		{"gone", func(w *world) { _ = os.Remove(w.path()) }, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mounted(t, head+columns+"m5.large,0.08\n", func(t *testing.T, w *world) {
				generation := w.book.Generation()
				tt.turn(w)
				for range 5 {
					pass()
				}
				assert.Truef(t, w.price() == 0.08 && w.book.Generation() == generation && w.gauge("refused") == 1,
					"price %v, refused %v, want the last good one", w.price(), w.gauge("refused"))
				assert.Falsef(t, len(w.events) != 1 || !strings.Contains(w.events[0], tt.want) || !strings.HasPrefix(w.events[0], "Warning PriceFileRefused"),
					"events %q, want one with %q", w.events, tt.want)
				_ = os.Remove(w.path())
				w.mount("..good", head+columns+"m5.large,0.06\n")
				pass()
				assert.Truef(t, w.price() == 0.06 && w.gauge("refused") == 0,
					"price %v, refused %v after the file was mended", w.price(), w.gauge("refused"))
			})
		})
	}
}

func TestHalfWrittenFileIsNotTaken(t *testing.T) {
	whole := head + columns + "m5.large,0.0752\n"
	mounted(t, head+columns+"m5.large,0.08\n", func(t *testing.T, w *world) {
		seen := map[float64]bool{}
		for cut := len(whole) - 4; cut <= len(whole); cut++ { // 0.075, 0.0752 and so on: each a price of its own
			write(t, w.path(), whole[:cut])
			time.Sleep(pollInterval)
			synctest.Wait()
			seen[w.price()] = true
		}
		pass()
		seen[w.price()] = true
		assert.Empty(t, cmp.Diff(map[float64]bool{0.08: true, 0.0752: true}, seen), "prices on the way (-want +got)")
	})
}

// docs/prices.md shows a price file in a ConfigMap.
func TestTheExampleOfTheDocumentIsRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/prices.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(text), "\n## Your own prices\n")
	_, table, _ := strings.Cut(section, "  prices: |\n")
	table, _, _ = strings.Cut(table, "```")
	own, err := pricing.ParseTerms(strings.ReplaceAll(table, "    ", ""), nil)
	require.NoErrorf(t, err, "in:\n%s", table)
	b := pricing.NewBook("cn-northwest-1", time.Time{})
	require.NoError(t, b.SetTerms(own))
	onDemand, _ := b.OnDemand("g4dn.2xlarge")
	spot, _ := b.Spot("g4dn.xlarge", []string{"cn-northwest-1a"})
	assert.Truef(t, onDemand.Discount == 0.25 && spot.Amount.PerHour == 1.4 && own.SpotRatio() == 0.3,
		"discount %v, spot %v, ratio %v, want 0.25, 1.4 and 0.3 from:\n%s", onDemand.Discount, spot.Amount, own.SpotRatio(), table)
}
