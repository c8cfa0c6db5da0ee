// Package nodetemplate describes the Node an Auto Scaling group would add, before any of its nodes exists.
//
// Build joins what is known of a group (its tags, its EKS managed node group, its instance types) into a Template:
// labels, taints, capacity and allocatable resources, each with the Source it was taken from. Where sources
// disagree, the first of these wins: the group's tags, the EKS node group, the launch template's user data, what real
// nodes of the group have shown (see Learnt), the catalogue of instance types with the formulas by which a node reserves
// resources for itself.
//
// What the package promises:
//   - It is pure. It reads no clock, network or file, and the same input gives the same output, so a caller may keep
//     a Template for as long as its Input is equal. Nothing in it is shared with the Input.
//   - It errs towards too little. A template that promises more than the node holds launches nodes on which the
//     pods then do not fit; one that promises less only packs less tightly.
//   - It puts no label on a template that the group's real nodes do not carry. Where a label's value differs from node
//     to node (the zone of a group with three), the template does not promise it, see Template.Assumed.
//   - Tags are text anybody may have written. Every malformed one becomes a Problem that can be shown to the person
//     who wrote it, takes nothing else down with it, and is quoted and cut to a bounded length.
package nodetemplate
