// Package cost measures the cost of choosing node groups.
//
// It runs mixes of pods through the core's real scale-up with one expander after the other, and compares the nodes' cost per
// hour with a lower bound. With -whole it runs the real autoscaler instead, until kube-scheduler has bound all pods and they run. It
// owns the tables of the results. README.md has the details.
package cost
