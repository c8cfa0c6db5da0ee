// Package served finds out which APIs the API server serves to the autoscaler, and switches off the features that need the others.
//
// The core reads each API through a cache and does nothing before the cache is filled. A cache never fills if an old API server does
// not know the API, or if the ClusterRole does not grant it. Without the features below the core works as well.
//
// The package owns the start-up checks of Kubernetes APIs. It makes no AWS call and imports no other package of this module,
// because the API server alone has the answers.
package served
