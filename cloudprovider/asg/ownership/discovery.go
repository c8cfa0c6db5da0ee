package ownership

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// Discovery selects our groups: the named groups, and all groups that match the filters.
type Discovery struct {
	Named   []group.Named
	Filters []TagFilter
	Join    DiscoveryJoin // the zero value is JoinAll
	Assumed bool          // the filters are those of Assumed
}

// DiscoveryJoin says how several --node-group-auto-discovery flags combine.
type DiscoveryJoin string

const (
	// JoinAll wants a group to match all flags, as the stock autoscaler does. Anything else would give a drop-in groups that stock leaves alone,
	// maybe another cluster's.
	JoinAll DiscoveryJoin = "all"
	JoinAny DiscoveryJoin = "any" // wants a group to match one flag
)

func (j DiscoveryJoin) Check() error { return shellword.OneOf(cmp.Or(j, JoinAll), JoinAll, JoinAny) }

// Searches returns the filters of the calls to AWS. A group is selected when it matches one of them.
func (d Discovery) Searches() []TagFilter {
	if d.Join == JoinAny || len(d.Filters) < 2 {
		return d.Filters
	}
	var all TagFilter
	for _, tag := range slices.Concat(d.Filters...) {
		all = all.with(tag)
	}
	return []TagFilter{all}
}

// Selects reports whether the flags select a group of the name, zones and tags.
func (d Discovery) Selects(name string, zones []string, tags map[string]string) bool {
	named := func(n group.Named) bool {
		whole, zone, isView := n.ZoneGroup()
		return n.Name == name || isView && whole == name && slices.Contains(zones, zone)
	}
	return slices.ContainsFunc(d.Named, named) || slices.ContainsFunc(d.Searches(), func(f TagFilter) bool { return len(f.lacking(tags)) == 0 })
}

// TagFilter is one --node-group-auto-discovery flag. A group matches when it has all the tags. A tag without a value matches every value.
type TagFilter []Tag

// with adds a tag. As in stock, the last value of a key holds.
func (f TagFilter) with(tag Tag) TagFilter {
	if at := slices.IndexFunc(f, func(t Tag) bool { return t.Key == tag.Key }); at >= 0 {
		f[at] = tag
		return f
	}
	return append(f, tag)
}

// lacking returns the tags that keep a group of those tags from the filter.
func (f TagFilter) lacking(has map[string]string) TagFilter {
	return slices.DeleteFunc(slices.Clone(f), func(tag Tag) bool {
		value, tagged := has[tag.Key]
		return tagged && (tag.Value == "" || tag.Value == value)
	})
}

const ReasonDropped = "dropped"

// Dropped is the problem of a group that left the readings at a moment. has are its tags by AWS, or nil if AWS has it no more.
func (d Discovery) Dropped(g *group.Group, at time.Time, has map[string]string) launchspec.Problem {
	p := launchspec.Problem{Reason: ReasonDropped, Message: "it is no longer served since " + at.UTC().Format("15:04:05 UTC") + ": "}
	if has == nil {
		p.Message += "AWS has no group of this name any more"
		return p
	}
	searches := d.Searches()
	if len(searches) == 0 {
		p.Message += "--nodes names none of its zones"
		p.Remedy = "name the group, or one of its zones, with --nodes"
		return p
	}
	var nearest TagFilter // what keeps the group from the search that lacks least
	for at, search := range searches {
		lacking := search.lacking(has)
		if at == 0 || len(lacking) < len(nearest) {
			nearest = lacking
		}
	}
	var lacks []string
	var tags []shellword.Tag
	for _, tag := range nearest {
		if value, tagged := has[tag.Key]; tagged {
			lacks = append(lacks, fmt.Sprintf("its tag %s is %q", tag.Key, value))
		} else {
			text := fmt.Sprintf("its tag %s is missing", tag.Key)
			for key := range has {
				if strings.EqualFold(key, tag.Key) {
					text += fmt.Sprintf(" (it has %s)", key)
				}
			}
			lacks = append(lacks, text)
		}
		tags = append(tags, shellword.Tag{Key: tag.Key, Value: cmp.Or(tag.Value, g.Tags[tag.Key], tag.Usual())})
	}
	p.Remedy = shellword.SetTags(g.Name, tags...)
	p.Message += strings.Join(lacks, ", and ")
	return p
}

type Tag struct{ Key, Value string }

// OwnedPrefix begins the tag that the shipped policy's condition asks for, with the value "owned". The cluster's name follows.
const OwnedPrefix = "k8s.io/cluster-autoscaler/"

// Usual is the value that a group gets that lacks the tag: the filter's own, or "owned" at the key of a cluster. With another one there the shipped
// policy lets nobody change the group.
func (t Tag) Usual() string {
	name, discovery := strings.CutPrefix(t.Key, OwnedPrefix)
	if discovery && name != "enabled" || strings.HasPrefix(t.Key, "kubernetes.io/cluster/") {
		return cmp.Or(t.Value, "owned")
	}
	return cmp.Or(t.Value, "true")
}

// ParseDiscovery reads the values of the --nodes and --node-group-auto-discovery flags.
func ParseDiscovery(nodes, autoDiscovery []string) (Discovery, error) {
	var d Discovery
	for _, spec := range nodes {
		named, err := group.ParseNamed(spec)
		if err != nil {
			return Discovery{}, fmt.Errorf("--nodes=%s: %w", spec, err)
		}
		// As in stock, the first flag that names a group holds.
		if !slices.ContainsFunc(d.Named, func(n group.Named) bool { return n.Name == named.Name }) {
			d.Named = append(d.Named, named)
		}
	}
	for _, spec := range autoDiscovery {
		filter, err := parseTagFilter(spec)
		if err != nil {
			return Discovery{}, fmt.Errorf("--node-group-auto-discovery=%s: %w", spec, err)
		}
		d.Filters = append(d.Filters, filter)
	}
	return d, nil
}

// Assumed returns the values of --node-group-auto-discovery that hold, by JoinAny, where no flag selects groups: the groups of the cluster that are
// to be scaled, or without a name those of all clusters.
func Assumed(cluster string) []string {
	const enabled = "asg:tag=k8s.io/cluster-autoscaler/enabled"
	if cluster == "" {
		return []string{enabled}
	}
	return []string{enabled + "," + OwnedPrefix + cluster, enabled + ",kubernetes.io/cluster/" + cluster + "=owned"}
}

func parseTagFilter(spec string) (TagFilter, error) {
	const want = "want asg:tag=<key>[=<value>][,<key>[=<value>]…], such as asg:tag=k8s.io/cluster-autoscaler/enabled"
	tags, found := strings.CutPrefix(spec, "asg:tag=")
	if !found || tags == "" {
		return nil, fmt.Errorf("%s", want)
	}
	var filter TagFilter
	for _, pair := range strings.Split(tags, ",") {
		key, value, _ := strings.Cut(pair, "=")
		if key == "" {
			return nil, fmt.Errorf("a tag without a key: %s", want)
		}
		filter = filter.with(Tag{Key: key, Value: value})
	}
	return filter, nil
}

// Names returns the groups that the --nodes flags may mean, each once. A name that looks like a zone group's may be a whole group's.
func (d Discovery) Names() []string {
	names := make([]string, 0, len(d.Named))
	for _, n := range d.Named {
		names = append(names, n.Name)
		if group, _, ok := n.ZoneGroup(); ok {
			names = append(names, group)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Limit has the --nodes flags limit the sizes of the group and of its zone groups, and notes the tags by which groups are searched.
func (d Discovery) Limit(g *group.Group) {
	for _, tag := range slices.Concat(d.Filters...) {
		g.Searched = append(g.Searched, tag.Key)
	}
	g.ZoneLimits = map[string]group.Named{}
	for _, n := range d.Named {
		if n.Name == g.Name {
			g.Flag = n
		} else if name, zone, ok := n.ZoneGroup(); ok && name == g.Name {
			g.ZoneLimits[zone] = n
		}
	}
}
