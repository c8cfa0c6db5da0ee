// Package doctor looks for faults of an installation: in AWS, in the cluster, and between the two.
//
// It reads everything once, within a time limit, and then judges by a table of checks. A finding says what is wrong, how we know, and the
// next command to type. A check that cannot look says so with the permission that it needs, and that is no finding. The package changes
// nothing in AWS or in the cluster, and starts no goroutine that outlives Run.
package doctor
