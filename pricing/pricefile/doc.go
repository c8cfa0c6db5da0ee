// Package pricefile reads the file in which a user states prices, and keeps a pricing.Book at what the file says.
//
// The file is a ConfigMap in practice: the kubelet replaces it by moving a symbolic link, and an editor may be caught half way
// through writing one. So a Watcher reads the content every few seconds, takes a change only when two readings agree on it, and
// parses nothing that has not changed. A file that is refused, or gone, leaves the book as it was; that is told once as a log
// line and an event, and for as long as it lasts by a metric. Run owns no other goroutine.
package pricefile
