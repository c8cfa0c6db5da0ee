package expanders

import (
	"regexp"
	"slices"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	ca_context "k8s.io/autoscaler/cluster-autoscaler/context"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/expander/priority"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	kube_util "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/client-go/kubernetes"
	v1lister "k8s.io/client-go/listers/core/v1"
	"sigs.k8s.io/yaml"
)

// byEitherName is the core's priority expander for node groups some of which are zonal views. A pattern that matches the name
// of a group matches its views, too; of the priorities that a view has by its own ID and by its group's name, the higher counts.
// The core's expander decides, and says what it has to say of its config map.
type byEitherName struct {
	core       expander.Filter
	configMaps v1lister.ConfigMapNamespaceLister // that core reads
	groupName  func(nodeGroupID string) string
}

// newByEitherName makes the core's expander as the core does: its config maps are read for as long as the process runs.
func newByEitherName(clients *ca_context.AutoscalingKubeClients, client kubernetes.Interface, namespace string,
	groupName func(nodeGroupID string) string) *byEitherName {
	configMaps := kube_util.NewConfigMapListerForNamespace(client, make(chan struct{}), namespace).ConfigMaps(namespace)
	return &byEitherName{core: priority.NewFilter(configMaps, clients.Recorder), configMaps: configMaps, groupName: groupName}
}

// BestOptions returns the options of the highest priority, in the order given.
func (b *byEitherName) BestOptions(options []expander.Option, nodeInfos map[string]*framework.NodeInfo) []expander.Option {
	isView := func(option expander.Option) bool {
		id := option.NodeGroup.Id()
		name := b.groupName(id)
		return name != "" && name != id
	}
	if !slices.ContainsFunc(options, isView) {
		return b.core.BestOptions(options, nodeInfos)
	}
	patterns := b.patterns()
	var asked []expander.Option
	for i, option := range options {
		names := []string{option.NodeGroup.Id()}
		if isView(option) {
			names = append(names, b.groupName(names[0]))
		}
		for _, name := range matched(names, patterns) {
			option.NodeGroup = named{options[i].NodeGroup, name, i}
			asked = append(asked, option)
		}
	}
	best := make([]bool, len(options))
	for _, option := range b.core.BestOptions(asked, nodeInfos) {
		if group, ok := option.NodeGroup.(named); ok {
			best[group.position] = true
		}
	}
	var list []expander.Option
	for i, option := range options {
		if best[i] {
			list = append(list, option)
		}
	}
	return list
}

// named is the node group of the option at a position, under one of its names.
type named struct {
	cloudprovider.NodeGroup
	name     string
	position int
}

// Id returns the name.
func (n named) Id() string { return n.name }

// matched are the names that a pattern matches, or the first where there is none. The core warns, by event and log, of each
// name without a priority that its group is not used: that would not be true of a view known by its other name.
func matched(names []string, patterns []*regexp.Regexp) []string {
	var list []string
	for _, name := range names {
		if slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(name) }) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return names[:1]
	}
	return list
}

// patterns are those of the config map, of all priorities; none where the core finds fault with it, and then keeps all options.
func (b *byEitherName) patterns() []*regexp.Regexp {
	configMap, err := b.configMaps.Get(priority.PriorityConfigMapName)
	if err != nil {
		return nil
	}
	var sources map[int][]string
	if yaml.Unmarshal([]byte(configMap.Data[priority.ConfigMapKey]), &sources) != nil {
		return nil
	}
	var patterns []*regexp.Regexp
	for _, list := range sources {
		for _, source := range list {
			pattern, err := regexp.Compile(source)
			if err != nil {
				return nil
			}
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}
