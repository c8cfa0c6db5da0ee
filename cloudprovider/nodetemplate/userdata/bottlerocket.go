package userdata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// bottlerocket reads Bottlerocket's settings. Later documents are laid over earlier ones.
func (r *reader) bottlerocket(text string) {
	if !r.spend(tomlWork(text)) {
		return
	}
	var doc map[string]any
	if err := toml.Unmarshal([]byte(text), &doc); err != nil {
		r.unreadable("TOML", "settings that can be parsed")
		return
	}
	settings := at[object](doc, "settings")
	if settings == nil {
		return
	}
	r.settings = r.merge(r.settings, at[object](settings, "kubernetes"))
	r.takenMemory(text)
	// MIG has NVIDIA's strategy "single", by which each part counts as a GPU (nvidia-k8s-device-plugin of bottlerocket-core-kit, read 2026-11).
	nvidia := at[any](settings, "kubelet-device-plugins", "nvidia")
	strategy := at[string](nvidia, "device-sharing-strategy")
	switch shared := strategy == "time-slicing" || strategy == "mps"; {
	case shared && at[any](nvidia, strategy, "rename-by-default") != false:
		r.problem("nvidia.com/gpu.shared", "", nodetemplate.ReasonUnresolved,
			"their number in a tag node-template/resources/nvidia.com/gpu.shared, for nodes have these and no nvidia.com/gpu")
	case shared || at[string](nvidia, "device-partitioning-strategy") == "mig":
		r.problem("nvidia.com/gpu", "", nodetemplate.ReasonUnresolved,
			"their number in a tag node-template/resources/nvidia.com/gpu, for each share or part of a GPU counts as one")
	}
	for _, unit := range at[object](settings, "bootstrap-commands") {
		if mode := at[string](unit, "mode"); (mode == "always" || mode == "once") && bindsKubelet(at[[]any](unit, "commands")) {
			r.bottlerocketDisks = true
		}
	}
}

// tomlWork estimates the parser's steps for a text. It looks for each key among all earlier ones, and recurses for each bracket.
func tomlWork(text string) int {
	keys := strings.Count(text, "=") + strings.Count(text, ".") + strings.Count(text, "[")
	return parserWork + 4*len(text) + 32*keys + keys*keys/4
}

// bindsKubelet reports whether one of the bootstrap commands lays the local disks under kubelet's folder. A command that names
// no folder takes that one too (bottlerocket-os/bottlerocket-core-kit#15 and #632, read 2026-11).
func bindsKubelet(commands []any) bool {
	return slices.ContainsFunc(commands, func(command any) bool {
		words := at[[]any](command)
		return len(words) >= 3 && words[1] == "ephemeral-storage" && words[2] == "bind" &&
			(len(words) == 3 || slices.Contains(words, any("/var/lib/kubelet")))
	})
}

// bottlerocketFacts evaluates settings.kubernetes. Settings that are not named stay as the image has them.
func (r *reader) bottlerocketFacts() Facts {
	f := Facts{ClusterName: at[string](r.settings, "cluster-name"), InstanceStore: r.bottlerocketDisks}
	setting := func(key string) []pair { return sortedPairs(at[object](r.settings, key)) }
	s := r.settingsOf(&f)
	s.labels("node-labels", setting("node-labels"))
	s.bottlerocketTaints(at[object](r.settings, "node-taints"))
	if value, ok := r.settings["max-pods"]; ok {
		s.maxPods("max-pods", fmt.Sprint(value))
	}
	s.keep(&f.KubeReserved, "kube-reserved", setting("kube-reserved"), reserved)
	s.keep(&f.SystemReserved, "system-reserved", setting("system-reserved"), reserved)
	s.reserveCPUs(at[string](r.settings, "reserved-cpus"))
	s.keep(&f.EvictionHard, "eviction-hard", setting("eviction-hard"), threshold)
	return f
}

// bottlerocketTaints reads the forms of node-taints: key = "value:effect", and key = ["value:effect", …].
func (s settings) bottlerocketTaints(taints map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(taints)) {
		values, ok := taints[key].([]any)
		if !ok {
			values = []any{taints[key]}
		}
		for _, value := range values {
			s.taintSpec("node-taints", key+"="+at[string](value))
		}
	}
}
