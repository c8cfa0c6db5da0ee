// Package e2e runs the scenarios that must work, scripts under testdata, with the real autoscaler against an emulated AWS
// account and a real control plane.
//
// Read a script from top to bottom: the account, the autoscaler as a shipped manifest runs it, workloads that come and go, and
// after each the expectations with their time limits. test/scenario documents the commands. Run one script by its name, and
// rewrite golden parts with -update:
//
//	make e2e RUN=s0
//
// The package owns the scripts and is tests alone.
package e2e
