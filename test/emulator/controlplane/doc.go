// Package controlplane runs a Kubernetes control plane as child processes: etcd, kube-apiserver, kube-scheduler,
// kube-controller-manager and KWOK, which plays the kubelet of every node that asks for it.
//
// Build compiles the programs, and kubectl, from the module versions pinned in the nested module binaries, once for each set of
// versions, into the user's cache directory. Start runs one cluster in a few seconds on free ports of 127.0.0.1, with RBAC
// enforced and certificates of its own. Any number of clusters may run side by side. A Cluster owns its processes, its
// goroutines and its directory. Stop ends them all. If this process dies first, by whatever signal, a watchdog does the same.
//
// A Node that carries the annotation kwok.x-k8s.io/node=fake becomes Ready as soon as it appears. It keeps its capacity,
// allocatable and addresses, and later patches. To keep it from being Ready, write that into its status, after the annotation
// controlplane/not-ready, which keeps KWOK from reverting it. Pods bound to it run a fifth of a second later, end that quickly
// when deleted, and complete if they are a Job's (config/stages.yaml). The creator of the Node also deletes it.
//
// The package needs a Unix with a POSIX shell, and the go command where the programs are not built yet. It must not import
// the core, because the world the autoscaler runs in does not contain it.
package controlplane
