// Package statusmap writes the core's status ConfigMap beside the loops.
//
// The core reads and writes the ConfigMap at the end of each loop, and waits for the API server. In a small cluster a loop takes longer for
// this than for all else. No decision needs the ConfigMap.
//
// The package owns the writes of this one ConfigMap. Every other request of the core goes to the API server as before. The package imports
// neither the core nor any package of this module, because it knows nothing about the content.
package statusmap
