package process

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/spotprice"
)

// prices are the price book of the region and the readers that keep it true.
type prices struct {
	book *pricing.Book
	spot *spotprice.Reader             // nil without --asg-spot-prices=live
	keep []func(context.Context) error // each until its context ends
}

// newPrices makes the price book of a region with the prices of --asg-price-file. It makes no call.
func newPrices(region string, ours options.AWS, catalogue *instancetypes.Catalogue,
	event func(eventType, reason, message string), registerer prometheus.Registerer) (*prices, error) {
	book, err := pricing.NewBook(region, nil)
	if err != nil {
		return nil, err
	}
	book.AgeLists(time.Now())
	measureListAge(book, registerer)
	if ours.PriceFile == "" {
		return &prices{book: book}, nil
	}
	watcher, err := pricefile.New(pricefile.Options{
		Path: ours.PriceFile, Book: book, Known: catalogue.Names, Event: event,
		Clock: clock.RealClock{}, Registerer: registerer,
	})
	if err != nil {
		return nil, fmt.Errorf("--asg-price-file: %w", err)
	}
	return &prices{book: book, keep: []func(context.Context) error{watcher.Run}}, nil
}

func measureListAge(book *pricing.Book, registerer prometheus.Registerer) {
	promauto.With(registerer).NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "asg_autoscaler", Name: "price_list_age_seconds",
		Help: "Age of the list of on-demand prices in use, of --asg-price-file or else the built-in one, in seconds.",
	}, func() float64 { return time.Since(book.ListDate()).Seconds() })
}

// followSpot also reads the spot prices of the instance types that the groups may launch.
func (p *prices) followSpot(api spotprice.API, groups *asg.Cache, registerer prometheus.Registerer) error {
	reader, err := spotprice.New(spotprice.Options{
		API: api, Book: p.book, InUse: func() spotprice.Pools { return spotprice.InUse(groups.Snapshot().Groups()) },
		Clock: clock.RealClock{}, Registerer: registerer,
	})
	if err != nil {
		return err
	}
	p.spot, p.keep = reader, append(p.keep, reader.Run)
	return nil
}
