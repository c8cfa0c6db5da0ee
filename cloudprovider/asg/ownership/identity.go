package ownership

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// A group states its cluster by
//   - its tags eks:cluster-name, aws:eks:cluster-name and kubernetes.io/cluster/<name> = owned
//   - the user data of its launch templates or its launch configuration
//   - the same tags, where its launch templates put them on instances.
//
// kubernetes.io/cluster/<name> = shared states nothing. Neither does k8s.io/cluster-autoscaler/<name>, because people write any name into a
// discovery tag. The comparison is exact, because EKS distinguishes Prod from prod.
//
// The first of these settles our own name:
//   - --asg-cluster-name
//   - the groups of our registered nodes: each node counts for the one name that its group states, and more than half must agree, also counting
//     nodes of unread groups. A settled name stays until none of them states it and others state another, because a majority that moves with every
//     scale-down would hide and show groups
//   - the name that EKS has given to the VPC CNI
//   - --cluster-name, which stock ignores on AWS, so that it may be anything.
//
// A group belongs to another cluster if one of its statements differs from our name, or from another statement. It is in the Snapshot's Foreign
// only, and no write reaches it. The same holds for a group with an operator, a service that alone may change it. While our name is
// not known, or groups are selected by it and neither the flag nor our nodes settle it, or a launch source is unread, an instance of a group that may
// state another cluster is terminated only if it is a node of ours or we launched it. EC2 may never answer us. In a group whose tags state our cluster, a
// launch source counts no more whose look-ups go on failing, nor do the tags of instances where every look for them has failed since the start,
// and for an hour.

const (
	sourceFlag      = "--asg-cluster-name"
	sourceNodes     = "groups of its nodes"
	sourceNetwork   = "VPC CNI"
	sourceStockFlag = "--cluster-name"
)

// launchedTTL is the time for which we remember an instance that we launched, beside the readings that show it.
const launchedTTL = 10 * time.Minute

const ReasonOtherCluster = "other-cluster"

const ReasonOperator = "other-operator"

// Identity knows the name of our cluster, and which instances are ours. It is not safe for concurrent use.
type Identity struct {
	Assumed bool // no flag selects groups, so they are selected by our name

	flag, stockFlag string
	own             launchspec.Statement // zero while our name is not known
	nodes           map[string]bool      // registered nodes of ours
	launched        map[string]time.Time // when AWS launched an instance for us
}

// NewIdentity returns the Identity of a cluster that is named by --asg-cluster-name and by --cluster-name. Both may be empty.
func NewIdentity(flag, stockFlag string) *Identity {
	id := &Identity{flag: flag, stockFlag: stockFlag, launched: map[string]time.Time{}}
	if flag != "" {
		id.own = launchspec.Statement{Cluster: flag, Source: sourceFlag}
	}
	return id // the stock flag comes after the cluster's own evidence
}

// settle returns our name by all evidence if no flag gives it. votes counts our nodes by the name that their groups state. undecided counts those
// whose groups may state one when they are read.
func (id *Identity) settle(votes map[string]int, undecided int, e Evidence) launchspec.Statement {
	total := 0
	for _, n := range votes {
		total += n
	}
	if id.own.Source == sourceNodes && (total == 0 || votes[id.own.Cluster] > 0) {
		return id.own
	}
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if 2*votes[name] > total+undecided {
			return launchspec.Statement{Cluster: name, Source: sourceNodes}
		}
	}
	switch {
	case e.Network != "":
		return launchspec.Statement{Cluster: e.Network, Source: sourceNetwork}
	case id.stockFlag != "":
		return launchspec.Statement{Cluster: id.stockFlag, Source: sourceStockFlag}
	}
	return launchspec.Statement{}
}

// Early returns our name by what is known before any group is read: --asg-cluster-name, or the name in the VPC CNI. It is zero where that is
// nothing. Stock ignores its own flag on AWS, so it may be anything.
func (id *Identity) Early(network string) launchspec.Statement {
	if id.flag == "" && network != "" && CheckClusterName(network) == nil {
		return launchspec.Statement{Cluster: network, Source: sourceNetwork}
	}
	return id.own
}

// Foreign reports whether the group belongs to another cluster, or to another service that alone may change it.
func (id *Identity) Foreign(g *group.Group) bool {
	return g.Operator != "" || disagrees(g, id.own.Cluster)
}

func (id *Identity) Launched(instance string, at time.Time) { id.launched[instance] = at }

// DidLaunch reports whether an answer of AWS to a launch of ours named the instance.
func (id *Identity) DidLaunch(instance string) bool {
	_, named := id.launched[instance]
	return named
}

// Cluster returns our name and the place that settled it, zero while it is not known.
func (id *Identity) Cluster() launchspec.Statement { return id.own }

// proven reports whether our name is ours. People copy the VPC CNI with their manifests, so where groups are selected by a name, that one is not
// enough. Where a flag selects them, the groups that our nodes are in are selected, too, and their name counts first.
func (id *Identity) proven() bool {
	return id.own.Cluster != "" && (!id.Assumed || id.own.Source == sourceFlag || id.own.Source == sourceNodes)
}

// Forget drops instances that we launched long ago and that no group has any more.
func (id *Identity) Forget(groups []*group.Group, now time.Time) {
	there := map[string]bool{}
	for _, g := range groups {
		for _, i := range g.Instances {
			there[i.ID] = true
		}
	}
	maps.DeleteFunc(id.launched, func(instance string, at time.Time) bool { return now.Sub(at) >= launchedTTL && !there[instance] })
}

// whyForeign says why the group is left alone, but not the source of our own name, whose change would report the Problem again.
func (id *Identity) whyForeign(g *group.Group) string {
	if g.Operator != "" {
		return fmt.Sprintf("it is left alone, for only the service %q may change it", g.Operator)
	}
	stated := make([]string, len(g.Stated))
	for at, s := range g.Stated {
		stated[at] = s.String()
	}
	all := strings.Join(stated, ", ")
	if id.own.Cluster == "" {
		return "it is left alone, for it states several clusters: " + all
	}
	return fmt.Sprintf("it is left alone, for it states cluster %s, and ours is %q", all, id.own.Cluster)
}

// Disowned returns the group with the one Problem that it belongs to another cluster or service.
func (id *Identity) Disowned(g *group.Group) *group.Group {
	p := launchspec.Problem{Reason: ReasonOtherCluster, Message: id.whyForeign(g),
		Remedy: "if it is another cluster's: make a group of this cluster for the pods, and take off this one only the discovery tag that names this cluster\n" +
			"if it is ours: correct the tag and the user data that say otherwise, or the name of this cluster by " + sourceFlag}
	switch {
	case g.Operator != "":
		p.Reason, p.Remedy = ReasonOperator, "do nothing if that service is to scale it, or else make a group without an operator"
	case id.own.Cluster == "":
		p.Remedy = "correct the wrong statements"
	}
	other := *g
	other.Problems = []launchspec.Problem{p}
	return &other
}

// Evidence comes from a cluster and settles its name.
type Evidence struct {
	Nodes   []string // the instances of all registered nodes
	Network string   // the name in the cluster's VPC CNI, empty where it has none
}

// CheckClusterName refuses a text that cannot be the name of a cluster. The empty text is fine.
func CheckClusterName(name string) error {
	switch {
	case strings.HasPrefix(name, "arn:"):
		return fmt.Errorf("%q is an ARN: give the name alone", name)
	case strings.ContainsAny(name, " \t\n/"):
		return fmt.Errorf("%q is not the name of a cluster", name)
	}
	return nil
}

// Inherit has a reading take over the statements of an earlier one of the same launch source.
func Inherit(g, before *group.Group) {
	g.LaunchUnread = true
	if before != nil {
		g.LaunchStated, g.LaunchUnread = before.LaunchStated, before.LaunchUnread || !before.LaunchGroup().SameSource(g.LaunchGroup())
	}
	g.Stated = slices.Concat(launchspec.StatedByTags(g.Tags, ""), g.LaunchStated)
}

// States returns the one name that the group states, empty for none or several.
func States(g *group.Group) string {
	if len(g.Stated) == 0 || disagrees(g, "") {
		return ""
	}
	return g.Stated[0].Cluster
}

// disagrees reports whether the group states another cluster than ours, or two.
func disagrees(g *group.Group, ours string) bool {
	for _, s := range g.Stated {
		ours = cmp.Or(ours, s.Cluster)
		if s.Cluster != ours {
			return true
		}
	}
	return false
}

// Describe enters the statements of the launch source, and reports whether they are news. Earlier ones stay while a part of it is unread.
func Describe(g *group.Group, stated []launchspec.Statement, unread bool) (news bool) {
	for _, s := range g.LaunchStated {
		if unread && !slices.Contains(stated, s) {
			stated = append(stated, s)
		}
	}
	if slices.Equal(stated, g.LaunchStated) && unread == g.LaunchUnread {
		return false
	}
	g.LaunchStated, g.LaunchUnread = stated, unread
	g.Stated = slices.Concat(launchspec.StatedByTags(g.Tags, ""), stated)
	return true
}

// See takes in the cluster's evidence of its name. It reports whether the name is news. groups are all discovered ones by name, with other clusters'.
func (id *Identity) See(ctx context.Context, e Evidence, groups []*group.Group) (news bool) {
	id.nodes = make(map[string]bool, len(e.Nodes))
	for _, node := range e.Nodes {
		id.nodes[node] = true
	}
	if id.flag != "" {
		return false // no evidence changes a given name
	}
	votes, undecided := map[string]int{}, 0
	for _, g := range groups {
		name := States(g)
		for _, i := range g.Instances {
			switch {
			case !id.nodes[i.ID]:
			case name != "":
				votes[name]++
			case g.LaunchUnread && len(g.Stated) == 0:
				undecided++
			}
		}
	}
	own := id.settle(votes, undecided, e)
	if own == id.own {
		return false
	}
	klog.FromContext(ctx).V(0).Info("Settled the name of this cluster: groups that state another are left alone", "cluster", own.Cluster,
		"source", own.Source, "before", id.own.Cluster)
	id.own = own
	return true
}
