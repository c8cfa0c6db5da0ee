package move

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

const day = 24 * time.Hour

// aged is a node of that age, as its group launches them.
func aged(age time.Duration, uid string) Node {
	g := &group.Group{Name: "g", Zones: []string{"us-west-2a", "us-west-2b"}, Tags: map[string]string{},
		Instances:  []group.Instance{{ID: "i-1", Type: "m5.large", Zone: "us-west-2a", Lifecycle: "InService", Origin: "lt-1 version 3"}},
		LaunchSpec: &launchspec.LaunchSpec{Next: []string{"lt-1 version 3"}, Types: []launchspec.Type{{Name: "m5.large"}}}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: types.UID(uid), CreationTimestamp: metav1.NewTime(noon.Add(-age))}}
	return Node{Node: node, Group: g, Instance: &g.Instances[0]}
}

func TestRotationComparesWithWhatIsLaunchedNow(t *testing.T) {
	version5 := Why{Cause: "it started from lt-1 version 3, and new instances start from lt-1 version 5", Target: "lt-1 version 5"}
	moved := func(n *Node) { n.Group.LaunchSpec.Next = []string{"lt-1 version 5"} }
	unread := func(n *Node) { n.Group.Problems = []launchspec.Problem{{Reason: launchspec.ReasonLaunchSourceUnread}} }
	overrides := func(types ...string) func(*Node) {
		return func(n *Node) {
			for _, name := range types {
				n.Group.Source.Overrides = append(n.Group.Source.Overrides, launchspec.Override{InstanceType: name})
			}
		}
	}
	images := func(ids ...string) func(*Node) { return func(n *Node) { n.Group.LaunchSpec.NextImages = ids } }
	stated := func(id string) func(*Node) { return func(n *Node) { n.Instance.ImageID = id } }
	eks := func(n *Node) { n.Group.Tags["eks:cluster-name"], n.Group.Tags["eks:nodegroup-name"] = "c", "n" }
	for _, tt := range []struct {
		name   string
		age    time.Duration // an hour by default
		change []func(*Node)
		image  string
		want   Why // zero for not due
	}{
		{name: "nothing changed"},
		{name: "launch template version", change: []func(*Node){moved}, want: version5},
		{name: "launch template version, of a new node", age: time.Minute, change: []func(*Node){moved}, want: version5},
		{name: "floating version", change: []func(*Node){moved, func(n *Node) { n.Group.LaunchSpec.Floats = true }}, want: version5},
		{name: "floating version that may be newer than what was read", age: 14 * time.Minute, change: []func(*Node){moved, func(n *Node) { n.Group.LaunchSpec.Floats = true }}},
		{name: "floating version that can no longer be read",
			change: []func(*Node){moved, unread, func(n *Node) { n.Group.LaunchSpec.Floats = true }}},
		{name: "fixed version that can no longer be read", change: []func(*Node){moved, unread}, want: version5},
		{name: "one of several launch templates", change: []func(*Node){func(n *Node) { n.Group.LaunchSpec.Next = []string{"lt-2 version 1", "lt-1 version 3"} }}},
		{name: "launch configuration", change: []func(*Node){func(n *Node) { n.Instance.Origin, n.Group.LaunchSpec.Next = "web-1", []string{"web-2"} }},
			want: Why{Cause: "it started from web-1, and new instances start from web-2", Target: "web-2"}},
		{name: "origin that AWS does not name", change: []func(*Node){moved, func(n *Node) { n.Instance.Origin = "" }}},
		{name: "origin without a number", change: []func(*Node){moved, func(n *Node) { n.Instance.Origin = "lt-1 version $Latest" }}},
		{name: "launch spec that is not known", change: []func(*Node){func(n *Node) { n.Group.LaunchSpec = nil }}},
		{name: "launch spec without origins", change: []func(*Node){func(n *Node) { n.Group.LaunchSpec.Next = nil }}},
		{name: "launch spec of an older source", change: []func(*Node){moved, func(n *Node) { n.Group.LaunchUnread = true }}},
		{name: "problem that keeps the group from launching", change: []func(*Node){moved, func(n *Node) { n.Group.Problems = []launchspec.Problem{{Reason: "x", Blocks: true}} }}},
		{name: "problem with which the group launches", change: []func(*Node){moved, func(n *Node) { n.Group.Problems = []launchspec.Problem{{Reason: "x"}} }}, want: version5},
		{name: "EKS replaces its nodes itself", change: []func(*Node){moved, eks}},
		{name: "instance refresh that bakes", change: []func(*Node){moved, func(n *Node) { n.Group.Operation.Bakes = true }}},
		{name: "warm pool, which may have the old version, too", change: []func(*Node){moved, func(n *Node) { n.Group.WarmPool = true }}},
		{name: "instance that leaves", change: []func(*Node){moved, func(n *Node) { n.Instance.Lifecycle = "Terminating:Wait" }}},
		{name: "instance in standby", change: []func(*Node){moved, func(n *Node) { n.Instance.Lifecycle = "Standby" }}},
		{name: "node without an instance", change: []func(*Node){func(n *Node) { n.Instance = nil }}},
		{name: "type among others", change: []func(*Node){overrides("m6i.large", "m5.large")}},
		{name: "type that is gone", change: []func(*Node){overrides("m6i.large", "m7i.large")}, want: Why{Cause: "its group launches no m5.large any more", Target: "lt-1 version 3"}},
		{name: "type that AWS does not name", change: []func(*Node){overrides("m6i.large", "m7i.large"), func(n *Node) { n.Instance.Type = "" }}},
		{name: "type by requirements", change: []func(*Node){overrides("m6i.large", "")}},
		{name: "zone that is gone", change: []func(*Node){func(n *Node) { n.Group.Zones = []string{"us-west-2b"} }},
			want: Why{Cause: "its group has no subnet in us-west-2a any more", Target: "lt-1 version 3"}},
		{name: "zone that AWS does not name", change: []func(*Node){func(n *Node) { n.Instance.Zone = "" }}},
		{name: "image that is gone", change: []func(*Node){images("ami-2")}, image: "ami-1", want: Why{Cause: "it started from ami-1, and new instances start from ami-2", Target: "ami-2"}},
		{name: "image that AWS states with the instance", change: []func(*Node){images("ami-2"), stated("ami-1")},
			want: Why{Cause: "it started from ami-1, and new instances start from ami-2", Target: "ami-2"}},
		{name: "image of a root volume that was replaced since", change: []func(*Node){images("ami-2"), stated("ami-2")}, image: "ami-1"},
		{name: "image among others", change: []func(*Node){images("ami-2", "ami-1")}, image: "ami-1"},
		{name: "image of an instance that is not known", change: []func(*Node){images("ami-2")}},
		{name: "image of a new node", age: time.Minute, change: []func(*Node){images("ami-2")}, image: "ami-1"},
		{name: "image by the version alone", image: "ami-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := aged(max(tt.age, time.Minute), "uid")
			if tt.age == 0 {
				n = aged(time.Hour, "uid")
			}
			for _, change := range tt.change {
				change(&n)
			}
			got, due := Rotate{MaxAge: 100 * day, Image: func(string) string { return tt.image }}.Due(n, noon)
			diff := cmp.Diff(tt.want, got)
			assert.Truef(t, diff == "" && due == (tt.want != Why{}), "due %t (-want +got):\n%s", due, diff)
		})
	}
}

// A parameter names another image since a young node started. The node is not due yet, and is no proof of the new image.
func TestNodeWithAnOlderImageIsNotAsItShouldBe(t *testing.T) {
	for image, judged := range map[string]bool{"ami-1": false, "ami-2": true} {
		n := aged(10*time.Minute, "uid")
		n.Group.LaunchSpec.NextImages, n.Instance.ImageID = []string{"ami-2"}, image
		_, due := Rotate{}.Due(n, noon)
		assert.Falsef(t, due, "%s: due", image)
		assert.Equalf(t, judged, Rotate{}.Judged(n), "%s: as it should be", image)
	}
}

func TestRotationByAge(t *testing.T) {
	tagged := func(text string) func(*Node) { return func(n *Node) { n.Group.Tags[TagRotateAge] = text } }
	life := func(days int) func(*Node) {
		return func(n *Node) { n.Group.MaxInstanceLifetime = time.Duration(days) * day }
	}
	problem := func(n *Node) {
		n.Group.Problems, n.Group.LaunchSpec = []launchspec.Problem{{Reason: "x", Blocks: true}}, nil
	}
	eks := func(n *Node) { n.Group.Tags["eks:cluster-name"], n.Group.Tags["eks:nodegroup-name"] = "c", "n" }
	byAge, byLife := Why{Cause: "it reaches its maximum age of 720h0m0s"}, Why{Cause: "AWS ends its instance at the group's maximum lifetime of 720h0m0s"}
	harsh := Why{Cause: byLife.Cause, IgnoresWishes: true, Ends: true}
	for _, tt := range []struct {
		name   string
		most   time.Duration // by the flag
		days   float64       // the node's age
		change []func(*Node)
		want   Why
	}{
		{name: "no maximum", days: 1000},
		{name: "the flag's", most: 30 * day, days: 30, want: byAge},
		{name: "younger than the flag's", most: 30 * day, days: 26.9},
		{name: "the tag's", most: 5 * day, days: 30, change: []func(*Node){tagged("720h")}, want: byAge},
		{name: "younger than the tag's", most: 5 * day, days: 10, change: []func(*Node){tagged("720h")}},
		{name: "none by the tag", most: 5 * day, days: 10, change: []func(*Node){tagged("0")}},
		{name: "a tag that cannot be read", most: 5 * day, days: 10, change: []func(*Node){tagged("30d")}},
		{name: "EKS does not look at ages", most: 30 * day, days: 30, change: []func(*Node){eks}, want: byAge},
		{name: "age beside a warm pool", most: 30 * day, days: 30, change: []func(*Node){func(n *Node) { n.Group.WarmPool = true }}, want: byAge},
		{name: "problem of the group", most: 30 * day, days: 30, change: []func(*Node){problem}},
		{name: "a change comes first", most: 30 * day, days: 30, change: []func(*Node){func(n *Node) { n.Group.Zones = n.Group.Zones[1:] }},
			want: Why{Cause: "its group has no subnet in us-west-2a any more", Target: "lt-1 version 3"}},
		{name: "lifetime is far", days: 23.9, change: []func(*Node){life(30)}},
		{name: "lifetime is near", days: 27, change: []func(*Node){life(30)}, want: byLife},
		{name: "lifetime is near, and AWS does not care for problems", days: 27, change: []func(*Node){life(30), problem}, want: byLife},
		{name: "lifetime is nearly over", days: 29.4, change: []func(*Node){life(30), problem}, want: harsh},
		{name: "lifetime is nearly over, and AWS terminates nothing", days: 29.4, change: []func(*Node){life(30), func(n *Node) {
			n.Group.SuspendedProcesses = []string{"Launch", "Terminate"}
		}}, want: byLife},
		{name: "lifetime is nearly over, and AWS spares protected instances", days: 29.4, change: []func(*Node){life(30), func(n *Node) { n.Instance.Protected = true }}, want: byLife},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := aged(time.Duration(tt.days*float64(day)), "uid")
			for _, change := range tt.change {
				change(&n)
			}
			got, due := Rotate{MaxAge: tt.most}.Due(n, noon)
			diff := cmp.Diff(tt.want, got)
			assert.Truef(t, diff == "" && due == (tt.want != Why{}), "due %t (-want +got):\n%s", due, diff)
		})
	}
}

func TestNodesThatWereLaunchedTogetherAgeApart(t *testing.T) {
	var due [11]int // nodes, at 90 to 100 percent of the maximum age
	for n := range 1000 {
		for percent := range due {
			node := aged(time.Duration(90+percent)*day, fmt.Sprintf("5c3b5b0e-6f2e-4d0c-9d0a-%012x", n))
			if _, is := (Rotate{MaxAge: 100 * day}).Due(node, noon); is {
				due[percent]++
			}
		}
	}
	for percent, n := range due {
		want := percent * 100
		assert.Truef(t, n >= want-60 && n <= want+60, "at %d %% of the maximum age %d of 1000 nodes are due, want about %d", 90+percent, n, want)
	}
}
