// Package peers measures this autoscaler beside the stock one and beside Karpenter, in one run on one machine. Each run has a real
// control plane and the emulated AWS account, in which a call takes 50 ms and LaunchInstances 500 ms more.
//
// The README says what each case and figure is, which flags each peer has, and what Karpenter's figures leave out. Nothing is
// judged: the exit code is 1 only if something could not be run.
//
// Package scenario runs the Cluster Autoscalers, and package karpenter the other one. This package owns the cases, the figures and
// the report. The bench of interruptions is test/bench/interruption.
package peers
