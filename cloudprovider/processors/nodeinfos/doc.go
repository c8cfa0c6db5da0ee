// Package nodeinfos predicts the next node of each node group.
//
// It owns the NodeInfos of the core's simulations: the core copies a live node or takes the group's template, and this package
// corrects the copy. It keeps the zone identifiers that nodes show. It changes no node of the cluster, makes no AWS call, and imports
// neither the SDK nor awsclient.
package nodeinfos
