// Package offline is an API server made of files: it answers lists and watches of objects that kubectl has printed, or of manifests.
//
// A Cluster is an http.RoundTripper for real clients of client-go. It knows the kinds that the autoscaler reads, and leaves others in
// the files alone. Objects of a cluster count as they are. In manifests, which no API server has seen, it does what the API server and
// the controllers would do as far as scheduling depends on it: it fills in defaults, makes the pods of a workload, and says of a pod
// without a node that the scheduler found none. It makes no call and writes nothing.
//
// The package must not import the core, because files are read without it.
package offline
