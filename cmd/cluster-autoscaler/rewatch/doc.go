// Package rewatch keeps the informers of pods and nodes up to date while the API server is busy.
//
// kube-apiserver ends a watch that does not take its events quickly enough (forget in apiserver's storage/cacher/cache_watcher.go), which
// happens in a burst of changes. client-go watches again at once, unless the watch lasted less than a second and brought nothing. Then it
// pauses for 0.8 s to 1.6 s, and for up to twice as long each further time (NewReflectorWithOptions in tools/cache). Meanwhile the
// autoscaler sees neither pods nor nodes. So such a watch pauses for a moment and brings a bookmark before it ends.
package rewatch
