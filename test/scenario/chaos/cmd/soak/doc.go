// Command soak runs the real autoscaler through a day that is compressed into the time given, on a real control plane with an emulated AWS account,
// and judges it.
//
//	make soak HOURS=2
//	go run ./test/scenario/chaos/cmd/soak -for 10m -o json
//
// The day has load with two peaks, rollouts, interrupted and reclaimed spot instances, and faults of AWS and of the API server. At 48 moments the command
// records resident memory, heap and goroutines, and compares the sizes of all groups in /status.json with the account's. In the end every pod that is
// wanted must run, and then every group must return to its minimum. Memory and goroutines of the last quarter of the day are compared with the
// second quarter, which has the same load.
//
// It exits with 3 if something was wrong. Plan, events and logs stay in bin/soak then. Package chaos makes the plan and judges.
package main
