package controlplane

import (
	"cmp"
	"io"
	"time"
)

// kubeletLeaseRenewal is how often kubelet renews its node's lease. A node that has missed leasesMissed renewals counts as dead, by
// default.
const (
	kubeletLeaseRenewal = 10 * time.Second
	leasesMissed        = 5
)

// Options configure a Cluster. The zero value is the usual one.
type Options struct {
	// Dir is the directory of the cluster's files. It is created when missing. Stop removes the keys, kubeconfigs and data in
	// it and leaves the logs. Empty means a new temporary directory, which Stop removes whole.
	Dir string

	// Binaries are the programs to run. When empty, Start gets them from Build.
	Binaries Binaries

	// Progress receives one line for each step that takes long, such as building. Nil discards them.
	Progress io.Writer

	// WithoutKWOK leaves nodes to the caller: none becomes Ready and no pod runs by itself.
	WithoutKWOK bool

	// LeaseRenewal is how often KWOK renews the lease of each node. kube-controller-manager takes a node for dead after five times as
	// long. 0 means kubelet's 10 s. On two processors the control plane has no time for anything else with the leases of 5,000 nodes.
	LeaseRenewal time.Duration

	// Crowded is for hundreds of pods that wait on a machine of few processors. kube-scheduler writes 200 times a second instead of 500. It,
	// kube-controller-manager and KWOK give way to etcd and kube-apiserver, which have machines of their own in a cluster. A kube-apiserver
	// without processor time ends watches, and then kube-scheduler knows of no change for seconds.
	Crowded bool

	// DefaultRates keeps the default rates of calls: 50 a second for kube-scheduler, 20 for kube-controller-manager. Otherwise it is 500 each,
	// so that no test waits for them.
	DefaultRates bool

	// UnschedulableTime is how long kube-scheduler leaves a pod that fits nowhere alone, if no event wakes it. 0 means its default, 5 minutes.
	UnschedulableTime time.Duration

	// FeatureGates are set on kube-apiserver, kube-scheduler and kube-controller-manager.
	FeatureGates map[string]bool

	// RuntimeConfig switches API versions of kube-apiserver on or off, by group/version, such as "resource.k8s.io/v1beta1".
	RuntimeConfig map[string]bool

	// EmulatedVersion is the Kubernetes release whose APIs and features the Kubernetes programs have, such as "1.32". Empty means
	// their own.
	EmulatedVersion string
}

func (o Options) leaseRenewal() time.Duration { return cmp.Or(o.LeaseRenewal, kubeletLeaseRenewal) }
