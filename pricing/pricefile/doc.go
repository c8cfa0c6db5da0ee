// Package pricefile reads the user's price file and keeps a pricing.Book up to date with it.
//
// In practice the file is a ConfigMap. The kubelet replaces it by moving a symbolic link, and an editor may be half way
// through writing it. So a Watcher reads the content every few seconds, accepts a change only when two readings agree, and
// parses only changed content. A file that is refused, or gone, leaves the book as it was. One log line and one event report
// that, and a metric for as long as it lasts. Run starts no further goroutine. The package owns the format of the file. It
// must import neither the AWS SDK, because prices are known offline, nor the core, because prices of instances need none.
package pricefile
