package controlplane

import "io"

// Options configure a Cluster. The zero value is the usual one.
type Options struct {
	// Dir is the directory of the cluster's files. It is created when missing. Stop removes the keys, kubeconfigs and data in
	// it and leaves the logs. Empty means a new temporary directory, which Stop removes whole.
	Dir string

	// Binaries are the programs to run. When empty, Start gets them from Build.
	Binaries Binaries

	// Progress receives one line for each step that takes long, such as building. Nil discards them.
	Progress io.Writer

	// Verbosity is the log level (-v) of the Kubernetes programs: 0 to 10.
	Verbosity int

	// WithoutKWOK leaves nodes to the caller: none becomes Ready and no pod runs by itself.
	WithoutKWOK bool

	// FeatureGates are set on kube-apiserver, kube-scheduler and kube-controller-manager.
	FeatureGates map[string]bool

	// RuntimeConfig switches API versions of kube-apiserver on or off, by group/version, such as
	// "resource.k8s.io/v1beta1".
	RuntimeConfig map[string]bool

	// EmulatedVersion is the Kubernetes release whose APIs and features the Kubernetes programs have, such as "1.32". Empty means
	// their own.
	EmulatedVersion string
}
