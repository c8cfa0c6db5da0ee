// Package karpenter holds that docs/coming-from-karpenter.md names each setting of a NodePool of the Karpenter that the benches pin.
//
// It is tests alone.
package karpenter
