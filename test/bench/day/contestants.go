package day

import (
	"fmt"
	"time"
)

// A program is what a contestant runs, each with flags of its own.
type program int

const (
	ourProgram program = iota
	stockProgram
	karpenterProgram
)

type contestant struct {
	name, about string
	program     program
	flags       []string // of its own, beside the flags of its program
	policy      string   // consolidationPolicy of Karpenter's pools
}

func (c contestant) String() string { return c.name }

// contestants are in the order of the report.
var contestants = []contestant{
	{name: "ours", about: "this autoscaler with --expander=least-cost", program: ourProgram},
	{name: "ours-consolidate", about: "the same with --asg-consolidate=on", program: ourProgram, flags: []string{"--asg-consolidate=on"}},
	{name: "stock", about: "the stock autoscaler of the same core with --expander=least-waste, because it knows no prices on AWS", program: stockProgram},
	{name: "karpenter", about: "Karpenter with its defaults: WhenEmptyOrUnderutilized, consolidateAfter 0s, budgets of 10 %", program: karpenterProgram, policy: "WhenEmptyOrUnderutilized"},
	{name: "karpenter-balanced", about: "Karpenter with consolidationPolicy Balanced, consolidateAfter 0s and the default budgets of 10 %", program: karpenterProgram, policy: "Balanced"},
}

// A speed is how many times faster than a real one the day goes by.
type speed float64

func speedOf(minutes float64) speed { return speed(day.Minutes() / minutes) }

// of compresses a time of the day, to no less than the least.
func (s speed) of(d, least time.Duration) time.Duration {
	return max(least, time.Duration(float64(d)/float64(s)).Round(time.Millisecond))
}

// Times of a real day, and the least that they are compressed to.
const (
	boot      = time.Minute            // from the launch until the node is Ready, in whole seconds here
	scan      = 10 * time.Second       // the default of both Cluster Autoscalers
	leastScan = 200 * time.Millisecond // a loop takes its time, which is not compressed
	// A burst of pods takes its time to be created, which is not compressed. A shorter batch would have a part of it.
	leastIdle, leastBatch = 100 * time.Millisecond, time.Second
)

func (s speed) boot() time.Duration {
	return time.Second * time.Duration(s.of(boot, time.Second).Round(time.Second)/time.Second)
}

// flags returns the flags of the program that have a time, with its compressed default.
func (s speed) flags(p program) []string {
	type timed struct {
		flag         string
		usual, least time.Duration
	}
	list := []timed{
		{"scan-interval", scan, leastScan},
		{"scale-down-unneeded-time", 10 * time.Minute, 0}, {"scale-down-unready-time", 20 * time.Minute, time.Second},
		{"scale-down-delay-after-add", 10 * time.Minute, 0}, {"scale-down-delay-after-failure", 3 * time.Minute, 0},
		{"unremovable-node-recheck-timeout", 5 * time.Minute, 0}, {"node-delete-delay-after-taint", 5 * time.Second, 0},
	}
	switch p {
	case ourProgram:
		list = append(list, timed{"asg-consolidate-horizon", time.Hour, 0})
	case karpenterProgram:
		list = []timed{{"batch-idle-duration", time.Second, leastIdle}, {"batch-max-duration", 10 * time.Second, leastBatch}}
	}
	var flags []string
	for _, t := range list {
		flags = append(flags, fmt.Sprintf("--%s=%s", t.flag, s.of(t.usual, t.least)))
	}
	return flags
}
