package process

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
)

// newPrices makes the price book of a region with the prices of --asg-price-file, and what keeps these true. It makes no call.
func newPrices(region string, ours options.AWS, catalogue *instancetypes.Catalogue,
	event func(eventType, reason, message string), registerer prometheus.Registerer) (book *pricing.Book, keep []func(context.Context) error, err error) {
	if book, err = pricing.NewBook(region, nil); err != nil {
		return nil, nil, err
	}
	book.AgeLists(time.Now())
	measureListAge(book, registerer)
	if ours.PriceFile == "" {
		return book, nil, nil
	}
	watcher, err := pricefile.New(pricefile.Options{
		Path: ours.PriceFile, Book: book, Known: catalogue.Names, Event: event,
		Clock: clock.RealClock{}, Registerer: registerer,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("--asg-price-file: %w", err)
	}
	return book, []func(context.Context) error{watcher.Run}, nil
}

func measureListAge(book *pricing.Book, registerer prometheus.Registerer) {
	promauto.With(registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "asg_autoscaler", Name: "price_list_age_seconds",
		Help: "Age of the list of on-demand prices in use, of --asg-price-file or else the built-in one, in seconds.",
	}, func() float64 { return time.Since(book.ListDate()).Seconds() })
}
