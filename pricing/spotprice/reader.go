package spotprice

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Intervals of reading. Spot prices follow the demand of days, and change a few times a day at most (EC2 User Guide, "Spot
// Instance pricing history").
const (
	interval    = 10 * time.Minute
	lookEvery   = 15 * time.Second // for a type or zone that came into use since the last reading
	retryFirst  = time.Minute
	callTimeout = time.Minute // for one reading, all its calls and their retries
	oldAfter    = 24 * time.Hour
)

type Options struct {
	API        API
	InUse      func() Pools // the types and zones to read, the Reader does not change them
	Book       *pricing.Book
	Clock      clock.Clock
	Registerer prometheus.Registerer
}

// Reader keeps the live spot prices of a book fresh.
type Reader struct {
	Options
	readAt  atomic.Pointer[time.Time] // of the last good reading, nil before it
	covered Pools                     // what that asked for
	due     time.Time                 // when to read at the latest
	wait    time.Duration             // until the next try, while readings fail, otherwise 0
	said    string                    // the reported cause of the last failure
}

// New makes a Reader. It reads nothing yet.
func New(o Options) (*Reader, error) {
	r := &Reader{Options: o}
	if err := o.Registerer.Register(ageMetric{r}); err != nil {
		return nil, fmt.Errorf("register spot price metric: %w", err)
	}
	return r, nil
}

// Run reads at once, then every ten minutes, and earlier where a type or a zone comes into use, until ctx ends. It returns nil.
func (r *Reader) Run(ctx context.Context) error {
	for {
		r.Read(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-r.Clock.After(lookEvery):
		}
	}
}

// Read reads when the prices are old, or when a pool in use was not part of the last reading. Nobody calls it beside Run.
func (r *Reader) Read(ctx context.Context) {
	pools, now := r.InUse(), r.Clock.Now()
	isNew := r.wait == 0 && (!covers(r.covered.Types, pools.Types) || !covers(r.covered.Zones, pools.Zones))
	if len(pools.Types) == 0 || len(pools.Zones) == 0 || now.Before(r.due) && !isNew {
		return
	}
	reading, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	quotes, err := Describe(reading, r.API, pools, now)
	if err != nil {
		r.failed(ctx, err)
		return
	}
	held := r.Book.SetSpot(quotes)
	r.readAt.Store(&now)
	r.covered, r.due, r.wait, r.said = pools, now.Add(interval), 0, ""
	klog.FromContext(ctx).V(4).Info("Read the spot prices", "prices", held, "instanceTypes", len(pools.Types), "zones", len(pools.Zones),
		"duration", r.Clock.Since(now))
}

func (r *Reader) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.wait = min(max(2*r.wait, retryFirst), interval)
	r.due = r.Clock.Now().Add(r.wait)
	if at := r.readAt.Load(); at != nil && r.Clock.Since(*at) >= oldAfter {
		r.Book.AgeSpot()
	}
	if brief := awsclient.Brief(err); brief != r.said {
		r.said = brief
		klog.FromContext(ctx).Error(err, "Reading the spot prices failed", "reason", awsclient.Reason(err), "inUse", r.fallback(),
			"in", r.wait, "remedy", remedy(err))
	}
}

func (r *Reader) fallback() string {
	if at := r.readAt.Load(); at != nil {
		return "the last reading, of " + at.UTC().Format(time.RFC3339)
	}
	return "a ratio of the on-demand price"
}

func remedy(err error) string {
	if awsclient.IsDenied(err) {
		return "allow ec2:DescribeSpotPriceHistory, or set --asg-spot-prices=off"
	}
	return "none, it is tried again"
}

func covers(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// ageMetric is the age of the spot prices. It has no value before the first reading.
type ageMetric struct{ r *Reader }

var ageDesc = prometheus.NewDesc("asg_autoscaler_spot_price_age_seconds",
	"Age of the last complete reading of the spot prices, in seconds. Absent before the first reading.", nil, nil)

func (m ageMetric) Describe(descs chan<- *prometheus.Desc) { descs <- ageDesc }

func (m ageMetric) Collect(metrics chan<- prometheus.Metric) {
	if at := m.r.readAt.Load(); at != nil {
		metrics <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, m.r.Clock.Since(*at).Seconds())
	}
}
