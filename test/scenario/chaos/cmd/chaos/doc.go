// Command chaos runs seeded plans of faults, see package chaos.
//
// With -soak it runs a day that is compressed into the time given, and judges it. The day has load with two peaks, rollouts, interrupted and
// reclaimed spot instances, and faults of AWS and of the API server. At 48 moments resident memory, heap and goroutines are recorded, and the
// sizes of all groups in /status.json compared with the account's. In the end every pod that is wanted must run, and then every group must return to
// its minimum. Memory and goroutines of the last quarter of the day are compared with the second quarter, which has the same load.
//
// It owns the choice of the plans and the table of results. It exits with 3 when a run failed, and with 1 when it could not go on.
package main
