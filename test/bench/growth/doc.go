// Package growth measures how AWS calls, processor time and memory of the autoscaler grow with groups, nodes and pods, at four sizes
// each, and fits an exponent to each figure.
//
// It runs the whole program over the emulated AWS and the API server of test/emulator/fileapi, which answers from objects in
// memory, because a cluster of 20,000 pods would take minutes to fill. That API server takes no write, so no node registers and nothing changes. The
// program's own profiles say which package took time and memory. The README says what each figure is.
//
// Nothing is judged but the figures of our own packages: the exit code is 1 if something could not be run, and 3 if one of them grows
// faster than linearly.
package growth
