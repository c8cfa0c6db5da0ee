// Package day measures a day of load with this autoscaler beside the stock one and beside Karpenter: what the nodes cost over a lower
// bound of each moment, how many pods are evicted, and how long pods wait. It uses a real control plane and the emulated AWS account.
//
// A day is compressed into minutes. The README says what is compressed with it and what cannot be. Nothing is judged: the exit code
// is 1 only if something could not be run.
//
// The package owns the load, the contestants and the figures. Package bound has the bound, package wholeway the account of a mix.
package day
