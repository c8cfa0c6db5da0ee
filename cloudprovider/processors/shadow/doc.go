// Package shadow lets an autoscaler watch another one that leads, and compares their decisions.
//
// A Shadow stands at the core's extension points. Pods for which a scale-up was decided wait in it for the leader. They are decided again together with
// pods that come later, which take the room of the same nodes as after a real launch. The readings of the groups and the taints of nodes show what
// the leader did. The comparison is bounded.
//
// The package asks for nothing and writes nothing, in AWS and in the cluster. It starts no goroutine.
package shadow
