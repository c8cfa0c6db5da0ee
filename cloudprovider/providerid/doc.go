// Package providerid reads the provider IDs of nodes on EC2.
//
// It owns their format. The zone in one is a hint and no part of the instance's identity: kubelets and cloud controllers
// leave it empty or out. Compare instances, never whole provider IDs. The package imports nothing of the project, because
// every layer uses it.
package providerid
