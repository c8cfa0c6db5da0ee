// Package kustomize tests the kustomize base, components and overlays in manifests/kustomize with the kustomize of kubectl.
//
// It owns the tests, and writes the rendered overlays in manifests/deploy. Overlays and components are given to a real API server
// as dry runs. test/chart compares the rendered overlays with the Helm chart.
package kustomize
