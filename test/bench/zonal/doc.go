// Package zonal compares how many pods run at the end with the stock autoscaler and with ours, where pods need particular zones. Each cell
// is one kind of pods on one kind of group, on a fresh control plane with the emulated AWS account. README.md says how it measures, and has
// the last report.
//
// The package owns the cells, the account (account.yaml) and the report.
package zonal
