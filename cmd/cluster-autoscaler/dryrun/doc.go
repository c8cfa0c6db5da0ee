// Package dryrun lets the autoscaler decide without changing anything.
//
// A Guard stands in all clients of a process, of AWS and of the API server. It lets reads pass and answers every write itself, as
// the service would. What it does not know it refuses. So the autoscaler's own code runs unchanged, and nothing leaves the process but
// reads. A Guard of Refusing refuses all writes, for an autoscaler that watches another one.
package dryrun
