// Package leastwaste scores each scale-up option by what it would leave idle, and can say why.
//
// The score of an option is the mean of two idle ratios: the share of the offered CPU, and of the offered memory,
// that the option's pods do not ask for. The option with the lowest score wins. Where only CPU and memory matter this is
// the choice of the Cluster Autoscaler's own least-waste expander, down to its ties; unlike there, a score is
// always a number, whatever the node claims to offer.
//
// A Filter keeps every option that shares the lowest score, so that the next expander of a chain can choose among them.
// It holds no state, starts no goroutine and makes no call; one Filter may be used from several goroutines.
package leastwaste
