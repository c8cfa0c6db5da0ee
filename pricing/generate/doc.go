// Command generate writes the price lists that package pricing embeds, one file per region.
//
//	go run ./pricing/generate                                  # check and re-format the lists
//	go run ./pricing/generate -prices prices.csv -source TEXT  # write the lists of the regions in prices.csv anew
//
// The file of -prices has a header and the columns region, instance_type, currency, price_per_hour and source_date. Running the
// first form twice changes nothing. Bare metal gets the price of the virtual type of its size where that is lower. No list is written unless every one parses.
//
// The command owns the edits of these lists. Package pricing only reads them.
package main
