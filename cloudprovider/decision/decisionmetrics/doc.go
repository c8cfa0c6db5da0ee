// Package decisionmetrics makes Prometheus metrics of the autoscaler's decisions.
//
// A Metrics is the Observer of a decision.Record: it counts what the Record is given. Gauges read the newest Report whenever Prometheus
// asks. No label has more than a fixed number of values, but for node_group, which has one for each group and is off unless asked for.
// The package starts no goroutine and makes no call.
package decisionmetrics
