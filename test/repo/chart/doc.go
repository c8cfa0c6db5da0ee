// Package chart tests the Helm chart in manifests/chart with the real helm, in the two major versions that people run.
//
// It owns the pinned versions of helm, the golden renderings, and the table of the stock chart's keys, which it also checks
// against the stock chart itself. Helm also serves other tests. The go command builds helm once and keeps it in the user's cache.
package chart
