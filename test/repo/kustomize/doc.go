// Package kustomize tests the kustomize base, components and overlays in manifests/kustomize with the kustomize of kubectl.
//
// It owns the tests, and writes the rendered overlays in manifests/deploy. Overlays and components are given to a real API server
// as dry runs, and the shipped objects of cert-manager for good. The nested modules operator and certmanager pin the definitions of their
// kinds. test/repo/chart compares the rendered overlays with the Helm chart.
package kustomize
