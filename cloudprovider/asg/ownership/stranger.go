package ownership

import (
	"fmt"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// OtherClusterError is the error of a write to what may belong to another cluster. AWS was not asked.
type OtherClusterError struct {
	Group string
	Why   string
}

func (e *OtherClusterError) Error() string { return e.Why }

// Unsent makes awsclient.IsRefused true.
func (e *OtherClusterError) Unsent() bool { return true }

// MayChange returns an *OtherClusterError if the group belongs to another cluster or service.
func (id *Identity) MayChange(g *group.Group) error {
	if id.Foreign(g) {
		return &OtherClusterError{Group: g.Name, Why: id.whyForeign(g)}
	}
	return nil
}

// Strangers returns the instances that are not certainly ours, and whether the groups of all of them state our cluster, or an *OtherClusterError
// if the group of one may belong to another cluster.
func (id *Identity) Strangers(instances []string, groupOf func(instance string) *group.Group) (strangers []string, stated bool, err error) {
	stated = true
	for _, i := range instances {
		g, known := groupOf(i), id.DidLaunch(i) || id.nodes[i]
		switch {
		case g == nil && !known:
			return nil, false, &OtherClusterError{Why: "it is left alone, for no reading shows it in a group of ours"}
		case g != nil && id.Foreign(g):
			return nil, false, id.MayChange(g)
		case known:
			continue
		case g.LaunchUnread || !id.proven() && len(g.Stated) > 0: // it may turn out to belong to another cluster
			return nil, false, &OtherClusterError{Group: g.Name, Why: "it is left alone, for it never became a node of ours, and " + whyUnproven(g)}
		}
		strangers, stated = append(strangers, i), stated && len(g.Stated) > 0
	}
	return strangers, stated, nil
}

// whyUnproven says why the group may be another cluster's, and what helps.
func whyUnproven(g *group.Group) string {
	gone := func(p launchspec.Problem) bool { return p.Reason == launchspec.ReasonLaunchSourceMissing }
	switch {
	case slices.ContainsFunc(g.Problems, gone):
		return "the launch template that could say whose the group is does not exist; give the group one that does"
	case g.LaunchUnread:
		return "the launch template that may say whose the group is has not been read yet; if it cannot be read, " +
			"tag the group kubernetes.io/cluster/NAME = owned with the name of its cluster"
	}
	return "nothing proves that the cluster of the group is ours; name this cluster by " + sourceFlag
}

// CheckTags returns an *OtherClusterError if the tags of an instance state another cluster than ours, or any while our name is "".
func CheckTags(ours string, tags map[string]string) error {
	for _, s := range launchspec.StatedByTags(tags, "") {
		if s.Cluster != ours {
			return &OtherClusterError{Group: tags["aws:autoscaling:groupName"],
				Why: fmt.Sprintf("it is left alone, for it states cluster %s and never became a node of ours", s)}
		}
	}
	return nil
}
