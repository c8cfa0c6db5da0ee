// Package grouplist shows the Auto Scaling groups that an autoscaler with the same flags would serve.
//
// It owns the columns and the JSON of this list. It makes no call. It must not import the core, because the CLI shows the
// autoscaler's knowledge of AWS and needs no simulated cluster.
package grouplist
