package command

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/groupprice"
	"github.com/asg-autoscaler/asg-autoscaler/pricing/pricefile"
)

func (c *cli) prices() *cobra.Command {
	file, capacityType := "", awsmessage.OnDemand
	cmd := &cobra.Command{
		Use: "prices [TYPE…]", Short: "Hourly prices of instance types, and how good each figure is",
		Long: `The hourly price of each instance type: amount, currency, date and source, and whether it is the price itself (exact) or an
estimate, with its basis. The autoscaler counts with the same figures. Prices of --file overlay the built-in ones. A TYPE may be
a pattern such as 'g4dn.*'. It makes no AWS call. Exits with 3 if the price of a TYPE is unknown.`,
		Example: "  asgctl prices g4dn.xlarge 'p5*' --region cn-north-1\n  asgctl prices --file prices.csv -o json | jq '.prices[] | select(.exact | not)'",
		Args:    cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, names []string) error {
			if capacityType != awsmessage.OnDemand && capacityType != awsmessage.Spot {
				return fmt.Errorf("--capacity-type=%s: use %s or %s", capacityType, awsmessage.OnDemand, awsmessage.Spot)
			}
			pricer, region, known, err := c.pricer(cmd.Context(), file)
			if err != nil {
				return failure{err}
			}
			list, unknown := show.PricesOf(pricer, region, known, capacityType, names)
			wrong := ""
			if len(unknown) > 0 || len(list.Prices) == 0 {
				wrong = fmt.Sprintf("no price known in %s for %s: check the name, state them in a file, or fetch AWS's list (asgctl prices refresh "+
					"--region %s --to FILE), and give that with --file", region, cmp.Or(strings.Join(unknown, ", "), "any type"), region)
			}
			return c.print(list, list.Table, wrong)
		},
	}
	flags := cmd.Flags()
	c.regionFlag(cmd)
	flags.StringVar(&file, "file", "", "Price file to lay over the built-in prices, as the autoscaler's --asg-price-file. Without --region, its region counts.")
	flags.StringVar(&capacityType, "capacity-type", capacityType, "Capacity type: on-demand or spot. Spot prices that the file does not state are estimated.")
	cmd.AddCommand(c.refresh())
	return cmd
}

func (c *cli) regionFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.read.Region, "region", "",
		"AWS region. If empty: AWS_REGION, AWS_DEFAULT_REGION, the shared configuration file, then the instance metadata.")
}

// pricer prices as the autoscaler does, in the region and for the types that may have a price.
func (c *cli) pricer(ctx context.Context, file string) (pricer *groupprice.Pricer, region string, known []string, err error) {
	catalogue, err := instancetypes.WithFile(c.read.InstanceTypesFile)
	if err != nil {
		return nil, "", nil, err
	}
	known = catalogue.Names()
	var terms *pricing.Terms
	if file != "" {
		if terms, err = pricefile.Read(file, known); err != nil {
			return nil, "", nil, err
		}
		known = append(known, terms.OnDemand().Types()...)
	}
	if region, err = c.region(ctx, terms); err != nil {
		return nil, "", nil, err
	}
	book := pricing.NewBook(region, time.Now())
	if terms != nil {
		if err := book.SetTerms(terms); err != nil {
			return nil, "", nil, fmt.Errorf("price file %q: %w", file, err)
		}
	}
	return groupprice.New(book, catalogue), region, append(known, pricing.Embedded(region).Types()...), nil
}

// region returns the requested region, the user's file's, or the environment's.
func (c *cli) region(ctx context.Context, terms *pricing.Terms) (string, error) {
	switch {
	case c.read.Region != "":
		return c.read.Region, nil
	case terms != nil:
		return terms.OnDemand().Origin().Region, nil
	}
	clients, err := c.read.Clients(ctx)
	if err != nil {
		return "", err
	}
	return clients.Region, nil
}
