// Package karpenter runs Karpenter with its KWOK provider beside a control plane of test/emulator/controlplane, to compare ours with it.
//
// The nested module binaries pins the program, and its definitions of NodePool and NodeClaim. The KWOK provider knows no cloud: a
// launch is a Node that it creates itself, after the boot time. The control plane's KWOK then plays its kubelet. A Process belongs to
// its caller, who kills it.
package karpenter
