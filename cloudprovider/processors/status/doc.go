// Package status reports the outcome of a scale-up to the owners of pods.
//
// Each type is a ScaleUpStatusProcessor of the core, which runs them after every scale-up. The package owns the events that it
// publishes and changes no decision. It makes no AWS call and imports neither the SDK nor awsclient.
package status
