package move

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// TagRotateAge is the maximum age of the nodes of a group, such as 720h, in the place of Rotate.MaxAge. 0 is none.
const TagRotateAge = "asg-autoscaler.github.io/rotate-age"

const (
	// settledAge is the age from which a node is compared with what may change without a change of its group: the autoscaler reads that again every
	// few minutes, and a younger node may be the first one of something newer.
	settledAge = 15 * time.Minute
	// agePart of a maximum age is the time over which the nodes of one age are spread.
	agePart = 10
)

// Rotate replaces nodes that AWS would launch otherwise today, and nodes that reach a maximum age. What it compares is stated by AWS for the
// instance, never by the node's labels.
type Rotate struct {
	MaxAge time.Duration // of nodes in groups without TagRotateAge, 0 for none
	// Image returns the image from which an instance started, "" while that is not known. It is asked for the groups of NeedsImages, where AWS does
	// not state the image with the instance. Nil knows none.
	Image func(instanceID string) string
}

var _ Reason = Rotate{}

func (Rotate) Name() string { return Rotation }

// Due reports whether AWS would launch the node otherwise, or whether it comes near a maximum age. A change is named before an age, so that its Target
// is. A problem that keeps the group from launching stops all but the end of its maximum lifetime, which AWS does not put off.
func (r Rotate) Due(n Node, now time.Time) (Why, bool) {
	if n.Group == nil || n.Instance == nil || n.Instance.Lifecycle != "InService" {
		return Why{}, false
	}
	age := now.Sub(n.CreationTimestamp.Time)
	if life := n.Group.MaxInstanceLifetime; life > 0 && age >= life-life/50 && !n.Instance.Protected && !n.Group.Suspended(group.ProcessTerminate) {
		return Why{Cause: ending(life), IgnoresWishes: true, Ends: true}, true // AWS ends it without a drain. It leaves protected instances alone
	}
	if !n.Group.Blocked() {
		if why, due := r.changed(n, age); due {
			return why, true
		}
	}
	return r.aged(n, age)
}

// Judged reports whether the node could be compared with what AWS would launch now. A node too young to be due may have an older image.
func (r Rotate) Judged(n Node) bool {
	return !r.Unread(n, "") && !n.Group.Blocked() && slices.Contains(n.Group.LaunchSpec.Next, n.Instance.Origin) &&
		(!NeedsImages(n.Group) || slices.Contains(n.Group.LaunchSpec.NextImages, r.image(n.Instance)))
}

// Unread reports whether what AWS would launch now is not known, as when a new leader cannot read it yet, or the image of the node, unless the
// target of its move is a launch template.
func (r Rotate) Unread(n Node, target string) bool {
	return unread(n.Group) ||
		target != strings.Join(n.Group.LaunchSpec.Next, ", ") && r.Image != nil && NeedsImages(n.Group) && r.image(n.Instance) == ""
}

// unread reports whether what AWS would launch now is not known. While a launch template cannot be read, its $Latest
// may be newer than the last one that was.
func unread(g *group.Group) bool {
	spec := g.LaunchSpec
	return spec == nil || len(spec.Next) == 0 || g.LaunchUnread || spec.Floats &&
		slices.ContainsFunc(g.Problems, func(p launchspec.Problem) bool { return p.Reason == launchspec.ReasonLaunchSourceUnread })
}

// image returns the instance's image. The stated one comes first, because an instance refresh may have replaced the root volume since the start.
func (r Rotate) image(i *group.Instance) string {
	if i.ImageID != "" || r.Image == nil {
		return i.ImageID
	}
	return r.Image(i.ID)
}

func ending(life time.Duration) string {
	return fmt.Sprintf("AWS ends its instance at the group's maximum lifetime of %v", life)
}

// changed compares the instance with what AWS would launch now. The instances of a refresh that bakes are newer than what their group
// states. New nodes of a group with a warm pool come out of the pool, which has older instances.
func (r Rotate) changed(n Node, age time.Duration) (Why, bool) {
	g, i, spec := n.Group, n.Instance, n.Group.LaunchSpec
	if unread(g) || g.Operation.Bakes || g.WarmPool || managed(g) {
		return Why{}, false
	}
	next := strings.Join(spec.Next, ", ")
	settled := age >= settledAge
	image := ""
	if settled && NeedsImages(g) {
		image = r.image(i)
	}
	switch {
	// AWS may state $Latest for an instance, which names no version.
	case i.Origin != "" && !strings.Contains(i.Origin, "$") && !slices.Contains(spec.Next, i.Origin) && (settled || !spec.Floats):
		return Why{Cause: fmt.Sprintf("it started from %s, and new instances start from %s", i.Origin, next), Target: next}, true
	// It may also leave out the type and the zone.
	case i.Type != "" && g.Source.NamesTypes() &&
		!slices.ContainsFunc(g.Source.Overrides, func(o launchspec.Override) bool { return o.InstanceType == i.Type }):
		return Why{Cause: fmt.Sprintf("its group launches no %s any more", i.Type), Target: next}, true
	case i.Zone != "" && len(g.Zones) > 0 && !slices.Contains(g.Zones, i.Zone):
		return Why{Cause: fmt.Sprintf("its group has no subnet in %s any more", i.Zone), Target: next}, true
	case image != "" && !slices.Contains(spec.NextImages, image):
		images := strings.Join(spec.NextImages, ", ")
		return Why{Cause: fmt.Sprintf("it started from %s, and new instances start from %s", image, images), Target: images}, true
	}
	return Why{}, false
}

// aged reports whether the node comes near the first of its maximum ages.
func (r Rotate) aged(n Node, age time.Duration) (Why, bool) {
	if life := n.Group.MaxInstanceLifetime; life > 0 && age >= spread(life-life/agePart, n) {
		return Why{Cause: ending(life)}, true
	}
	most := r.MaxAge
	if tagged, given, err := taggedAge(n.Group); err != nil {
		return Why{}, false
	} else if given {
		most = tagged
	}
	if most > 0 && !n.Group.Blocked() && age >= spread(most, n) {
		return Why{Cause: fmt.Sprintf("it reaches its maximum age of %v", most)}, true
	}
	return Why{}, false
}

// spread returns an age up to a tenth below the greatest one. It is the node's for ever, and another one for a node that was launched together with it.
func spread(most time.Duration, n Node) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(n.UID))
	return most - time.Duration(float64(most)/agePart*float64(h.Sum32())/math.MaxUint32)
}

func taggedAge(g *group.Group) (age time.Duration, given bool, err error) {
	text, given := g.Tags[TagRotateAge]
	if !given {
		return 0, false, nil
	}
	age, err = time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, true, fmt.Errorf("%q is no age: use a duration such as 720h, or 0 for none", text)
	}
	return age, true, nil
}

// NeedsImages reports whether Rotate asks for the images of the group's instances.
func NeedsImages(g *group.Group) bool {
	return g.LaunchSpec != nil && len(g.LaunchSpec.NextImages) > 0 && !managed(g)
}

// managed reports whether EKS itself replaces the nodes of the group when something changes.
func managed(g *group.Group) bool { return g.ManagedNodegroup().Name != "" }
