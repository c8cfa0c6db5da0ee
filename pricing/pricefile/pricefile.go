package pricefile

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// pollInterval is the time between two readings of the file. A change counts after one to two of them.
const pollInterval = 3 * time.Second

type Options struct {
	Path       string
	Book       *pricing.Book
	Known      func() []string // the instance types that exist
	Clock      clock.PassiveClock
	Registerer prometheus.Registerer
	// Event reports a refused file to the cluster, as a Warning.
	Event func(eventType, reason, message string)
}

// Watcher keeps a book up to date with a file. It is not safe for concurrent use: the caller of New calls Run, once.
type Watcher struct {
	Options
	refused    prometheus.Gauge
	acceptedAt prometheus.Gauge
	taken      version // the content that the book was last tried with
	pending    version // a different content from the last reading, to be confirmed
}

type version struct{ text, failure string }

// New leaves the book as it was on an error. The caller should not start then, for there is no last good file.
func New(o Options) (*Watcher, error) {
	w := &Watcher{Options: o,
		refused: gauge(o.Registerer, "price_file_refused", "1 while the price file has an error and the last good one is in use, 0 otherwise."),
		acceptedAt: gauge(o.Registerer, "price_file_accepted_timestamp_seconds",
			"Time at which the price file in use was read, in seconds since 1970.")}
	text, err := content(o.Path)
	if err != nil {
		return nil, err
	}
	if err := w.take(text); err != nil {
		return nil, err
	}
	w.taken.text = text
	return w, nil
}

func gauge(registerer prometheus.Registerer, name, help string) prometheus.Gauge {
	return promauto.With(registerer).NewGauge(prometheus.GaugeOpts{Namespace: "asg_autoscaler", Name: name, Help: help})
}

// Run follows the file until ctx ends. It returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	wait.UntilWithContext(ctx, w.poll, pollInterval)
	return nil
}

// poll reads the file and takes what two readings agree on.
func (w *Watcher) poll(ctx context.Context) {
	text, err := content(w.Path)
	found := version{text: text}
	if err != nil {
		found.failure = err.Error()
	}
	confirmed := found == w.pending
	w.pending = found
	if found == w.taken || !confirmed {
		return
	}
	w.taken = found
	if err == nil {
		err = w.take(text)
	}
	if err != nil {
		w.refuse(ctx, err)
	}
}

func (w *Watcher) take(text string) error {
	terms, err := parse(w.Path, text, w.Known())
	if err != nil {
		return err
	}
	if err := w.Book.SetTerms(terms); err != nil {
		return fmt.Errorf("price file %q: %w", w.Path, err)
	}
	w.refused.Set(0)
	w.acceptedAt.Set(float64(w.Clock.Now().UnixMilli()) / 1000)
	klog.Background().V(0).Info("Read the price file", "file", w.Path, "prices", terms.OnDemand().Len(), "spotPrices", terms.SpotPrices(),
		"discounts", terms.Discounts(), "spotRatio", terms.SpotRatio(), "currency", terms.OnDemand().Currency(),
		"source", terms.OnDemand().Origin().Source, "date", terms.OnDemand().Origin().Date.Format(time.DateOnly))
	return nil
}

func (w *Watcher) refuse(ctx context.Context, err error) {
	w.refused.Set(1)
	klog.FromContext(ctx).Error(err, "The price file is refused, the last good one stays in use", "file", w.Path)
	w.Event("Warning", "PriceFileRefused", err.Error()+", the last good one stays in use")
}

// Read reads a price file as pricing.ParseTerms describes it. Errors name the file and, if it could be read, the line.
// Instance types that are neither in known nor in an embedded list are errors, unless the file says otherwise.
func Read(path string, known []string) (*pricing.Terms, error) {
	text, err := content(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text, known)
}

// content returns the file without the byte order mark of some editors.
func content(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read price file: %w", err)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), nil
}

func parse(path, text string, known []string) (*pricing.Terms, error) {
	terms, err := pricing.ParseTerms(text, known)
	if err != nil {
		return nil, fmt.Errorf("price file %q: %w", path, err)
	}
	return terms, nil
}
