package expander

import (
	"regexp"
	"slices"

	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	cacontext "k8s.io/autoscaler/cluster-autoscaler/context"
	coreexpander "k8s.io/autoscaler/cluster-autoscaler/expander"
	corepriority "k8s.io/autoscaler/cluster-autoscaler/expander/priority"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
	kubeutil "k8s.io/autoscaler/cluster-autoscaler/utils/kubernetes"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"sigs.k8s.io/yaml"
)

// priority is the core's priority expander for node groups some of which are zone groups. A pattern that matches the name
// of an Auto Scaling group matches its zone groups, too. A zone group may have priorities by its own ID and by its group's
// name, and the higher one counts. The core's expander decides, and reports faults of its config map. The chain reports that it is missing.
type priority struct {
	core       coreexpander.Filter
	configMaps corelisters.ConfigMapNamespaceLister // the core reads them, too
	groupName  func(nodeGroupID string) string
	leftOut    map[string]bool // node groups of a lower priority than the last options kept
	missing    bool            // its config map, since before the last options
}

// newPriority makes the core's expander as the core does. Its config maps are read for as long as the process runs.
func newPriority(clients *cacontext.AutoscalingKubeClients, client kubernetes.Interface, namespace string,
	groupName func(nodeGroupID string) string) *priority {
	configMaps := kubeutil.NewConfigMapListerForNamespace(client, make(chan struct{}), namespace).ConfigMaps(namespace)
	return &priority{core: corepriority.NewFilter(configMaps, clients.Recorder), configMaps: configMaps, groupName: groupName}
}

// BestOptions returns the options of the highest priority, in the order given.
func (p *priority) BestOptions(options []coreexpander.Option, nodeInfos map[string]*framework.NodeInfo) []coreexpander.Option {
	patterns := p.patterns()
	var asked []coreexpander.Option
	for i, option := range options {
		names := []string{option.NodeGroup.Id()}
		if name := p.groupName(names[0]); name != "" && name != names[0] {
			names = append(names, name)
		}
		for _, name := range matched(names, patterns) {
			option.NodeGroup = named{options[i].NodeGroup, name, i}
			asked = append(asked, option)
		}
	}
	best := make([]bool, len(options))
	for _, option := range p.core.BestOptions(asked, nodeInfos) {
		best[option.NodeGroup.(named).position] = true
	}
	var list []coreexpander.Option
	p.leftOut = map[string]bool{}
	for i, option := range options {
		if best[i] {
			list = append(list, option)
		} else {
			p.leftOut[option.NodeGroup.Id()] = true
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

func (n named) Id() string { return n.name }

// matched returns the names that a pattern matches, or the first name where there is none. The core warns, by event and log, that a
// group whose name has no priority is not used. The warning would be wrong for a zone group that matches by its other name.
func matched(names []string, patterns []*regexp.Regexp) []string {
	list := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(name) })
	})
	if len(list) == 0 {
		return names[:1]
	}
	return list
}

// patterns returns none where the core rejects the config map, because the core then keeps all options.
func (p *priority) patterns() []*regexp.Regexp {
	configMap, err := p.configMaps.Get(corepriority.PriorityConfigMapName)
	if err != nil {
		return nil
	}
	var sources map[int][]string
	if yaml.Unmarshal([]byte(configMap.Data[corepriority.ConfigMapKey]), &sources) != nil {
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
