// Package move replaces nodes before they are removed. A move finds another place for the pods of a node first: on Ready nodes, on nodes that
// come anyway, or on a node that is launched for them. The node is drained then, and its instance terminated.
//
// Why a node is replaced is a Reason, and all reasons share one machine: limits (budgets, windows, the group's own maintenance policy), the
// order, and a memory in one annotation of the node, by which the next leader goes on. Which moves begin and end is a pure function of the
// nodes, their groups and the time. The package makes no call, and must not import the core: package scaledown carries moves out with the
// core's own planner and actuator, for the reasons that its doc.go states.
package move
