// Package nodetemplate describes the Node an Auto Scaling group would add, before any of its nodes exists.
//
// Build joins the known facts about a group (its tags, its EKS managed node group, its instance types) into a Template: labels,
// taints, capacity and allocatable resources, each with its Source. Where sources disagree, the first of these wins: the
// group's tags, the EKS node group, the launch template's user data, facts observed on real nodes of the group (see Learnt),
// and last the catalogue of instance types with the formulas by which a node reserves resources for itself.
//
// The package promises:
//   - It is pure. It reads no clock, network or file, and the same input gives the same output. A caller may keep a Template
//     for as long as its Input is equal. The Template shares nothing with the Input.
//   - It errs towards too little. A template that promises more than the node holds launches nodes that the pods do not fit. A
//     template that promises less only packs less tightly.
//   - It promises only labels that the group's real nodes carry. A label whose value differs from node to node (the zone of a
//     group with three) is Assumed, not promised, see Template.Assumed.
//   - Anybody may have written a tag. Every malformed tag becomes a Problem for the person who wrote it. It affects nothing
//     else, and the Problem quotes it at a bounded length.
//
// The package owns the order of the sources. It must import neither the AWS SDK nor the core, so that templates can be built
// anywhere and fuzzed.
package nodetemplate
