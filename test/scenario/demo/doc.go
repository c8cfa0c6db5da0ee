// Command demo scales a GPU spot group from zero to three, back to zero, and again, with the real autoscaler on a real control
// plane and an emulated AWS account, all on loopback and in a temporary directory.
//
//	demo         run both rounds and clean up, exit 0 only if every state was reached
//	demo -keep   the same, but leave everything running and say how to reach it
//	demo up      only start everything, and leave it running
//	demo down    stop what -keep or up left running
//
// The command owns the two rounds and their report. Package scenario runs the autoscaler.
package main
