// Package status reports what a loop did: the outcome of a scale-up to the owners of pods, and the core's status ConfigMap.
//
// Most types are ScaleUpStatusProcessors of the core, which runs them after every scale-up. The Writer writes the ConfigMap beside the
// loops, with the core's content. The core would wait for the API server at the end of each loop. In a small cluster this takes longer than
// all else in a loop, and with many groups the text alone takes half of the loop's time.
//
// The package owns the events that it publishes and this one ConfigMap, and changes no decision. It makes no AWS call and imports neither
// the SDK nor awsclient.
package status
