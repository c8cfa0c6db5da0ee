package userdata

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	kubeletapis "k8s.io/kubelet/pkg/apis"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

type settings struct {
	*budget
	*nodetemplate.UserData
	reservedCPUs *string // a list of them
}

func (r *reader) settingsOf(f *Facts) settings { return settings{&r.budget, &f.UserData, new(string)} }

// apply lays kubelet's configurations over the facts in their order, and then its arguments.
func (s settings) apply(args []string, configs ...map[string]any) {
	for _, config := range configs {
		s.applyConfig(config)
	}
	s.applyFlags(args)
	s.reserveCPUs(*s.reservedCPUs)
}

// splitArgs splits at white space outside quotes and removes the quotes, as systemd does with the variable for kubelet's arguments.
func (b *budget) splitArgs(line string) []string {
	if !b.spend(2 * len(line)) {
		return nil
	}
	var args []string
	var cur strings.Builder
	open, quote := false, rune(0)
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, open = c, true
		case quote == 0 && strings.ContainsRune(" \t\n\\", c): // this backslash remains of a continued line
			if open {
				args = append(args, cur.String())
			}
			cur.Reset()
			open = false
		default:
			cur.WriteRune(c)
			open = true
		}
	}
	if open {
		args = append(args, cur.String())
	}
	return args
}

// applyFlags does as kubelet: a flag that holds a map replaces it, and adds to it when repeated. The last one of any other flag counts.
func (s settings) applyFlags(args []string) {
	seen := map[string]bool{}
	for i := 0; i < len(args) && s.spend(wordWork); i++ {
		if name, ok := strings.CutPrefix(args[i], markStart); ok {
			s.problem("kubelet arguments", markStart+name, nodetemplate.ReasonUnresolved, literal)
			continue
		}
		flag, value, assigned := cutFlag(args[i])
		if !slices.Contains(kubeletFlags, flag) {
			continue
		}
		if !assigned {
			if i++; i >= len(args) {
				return
			}
			value = args[i]
		}
		s.applyFlag(flag, value, !seen[flag])
		seen[flag] = true
	}
}

// cutFlag splits an argument such as --max-pods=3. Kubelet takes underscores in the flag for dashes.
func cutFlag(arg string) (flag, value string, assigned bool) {
	flag, value, assigned = strings.Cut(arg, "=")
	return strings.ReplaceAll(flag, "_", "-"), value, assigned
}

var kubeletFlags = []string{
	"--node-labels", "--register-with-taints", "--max-pods", "--pods-per-core", "--kube-reserved", "--system-reserved", "--reserved-cpus",
	"--eviction-hard",
}

const literal = "a literal value, for only the node can evaluate this"

func (s settings) applyFlag(flag, value string, first bool) {
	switch flag {
	case "--node-labels":
		s.labels(flag, pairs(value, "="))
	case "--register-with-taints":
		s.Taints = nil
		for item := range strings.SplitSeq(value, ",") {
			if item != "" {
				s.taintSpec(flag, item)
			}
		}
	case "--max-pods":
		s.maxPods(flag, value)
	case "--pods-per-core":
		s.pods(&s.PodsPerCore, flag, value, 0)
	case "--reserved-cpus":
		*s.reservedCPUs = value
	case "--kube-reserved":
		s.keep(replaced(&s.KubeReserved, first), flag, pairs(value, "="), reserved)
	case "--system-reserved":
		s.keep(replaced(&s.SystemReserved, first), flag, pairs(value, "="), reserved)
	case "--eviction-hard":
		s.keep(replaced(&s.EvictionHard, first), flag, pairs(value, "<"), threshold)
	}
}

// replaced returns r, which the first flag of a kind makes empty.
func replaced(r *nodetemplate.Reservation, first bool) *nodetemplate.Reservation {
	if first {
		*r = nodetemplate.Reservation{Whole: true}
	}
	return r
}

type pair struct {
	key, value string
	complete   bool // there was a separator
}

func pairs(list, separator string) []pair {
	var out []pair
	for item := range strings.SplitSeq(list, ",") {
		if key, value, ok := strings.Cut(item, separator); key != "" || ok {
			out = append(out, pair{strings.TrimSpace(key), strings.TrimSpace(value), ok})
		}
	}
	return out
}

// sortedPairs turns a map of a configuration into pairs. Numbers and booleans of TOML become text, as those of YAML are.
func sortedPairs(m map[string]any) []pair {
	var out []pair
	for _, key := range slices.Sorted(maps.Keys(m)) {
		switch value := m[key].(type) {
		case nil, map[string]any, []any:
			out = append(out, pair{key: key})
		default:
			out = append(out, pair{key, fmt.Sprint(value), true})
		}
	}
	return out
}

func (b *budget) unresolvedIn(what, key, value string) bool {
	if !hasUnresolved(key) && !hasUnresolved(value) {
		return false
	}
	b.problem(strings.TrimSpace(what+" "+key), value, nodetemplate.ReasonUnresolved, literal)
	return true
}

func (s settings) labels(what string, list []pair) {
	for _, p := range list {
		if !s.spend(settingWork) {
			return
		}
		name := what + " " + show(p.key)
		switch {
		case s.unresolvedIn(what, p.key, p.value):
		case !p.complete:
			s.problem(what, p.key, nodetemplate.ReasonLabelKey, "<label>=<value>, which kubelet needs to start")
		case !nodetemplate.ValidName(p.key):
			s.problem(name, p.value, nodetemplate.ReasonLabelKey, "a label key that Kubernetes allows, for kubelet does not start with this one")
		case restricted(p.key):
			s.problem(name, p.value, nodetemplate.ReasonRestrictedLabel,
				"no label of kubernetes.io or k8s.io but those kubelet may set, such as node.kubernetes.io/…, for kubelet does not start with this one")
		case !nodetemplate.ValidValue(p.value):
			s.problem(name, p.value, nodetemplate.ReasonLabelValue, "a label value that Kubernetes allows, for kubelet does not start with this one")
		case len(s.Labels) >= maxLabels && s.Labels[p.key] == "":
			s.problem(what, "", nodetemplate.ReasonKubeletSetting, fmt.Sprintf("%d labels at most, the rest was left out", maxLabels))
			return
		default:
			put(&s.Labels, p.key, p.value)
		}
	}
}

func restricted(key string) bool {
	domain, _, ok := strings.Cut("."+key, "/")
	return ok && !kubeletapis.IsKubeletLabel(key) && (strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io"))
}

// taintSpec reads key=value:effect or key:effect.
func (s settings) taintSpec(what, item string) {
	if s.unresolvedIn(what, "", item) {
		return
	}
	spec, effect, ok := strings.Cut(item, ":")
	key, value, _ := strings.Cut(spec, "=")
	if !ok {
		s.problem(what, item, nodetemplate.ReasonTaintForm, "<key>=<value>:<effect>")
		return
	}
	s.taint(what, corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)})
}

func (s settings) taint(what string, taint corev1.Taint) {
	if !s.spend(2 * settingWork) {
		return
	}
	name, value := what+" "+show(taint.Key), show(taint.Value+":"+string(taint.Effect))
	switch {
	case len(s.Taints) >= maxTaints:
		s.problem(what, "", nodetemplate.ReasonKubeletSetting, fmt.Sprintf("%d taints at most, the rest was left out", maxTaints))
	case s.unresolvedIn(what, taint.Key, taint.Value+":"+string(taint.Effect)):
	case !nodetemplate.ValidName(taint.Key):
		s.problem(name, value, nodetemplate.ReasonTaintKey, "a key that Kubernetes allows")
	case !slices.Contains(nodetemplate.TaintEffects, taint.Effect):
		s.problem(name, value, nodetemplate.ReasonTaintEffect, "NoSchedule, PreferNoSchedule or NoExecute after the colon")
	case !nodetemplate.ValidValue(taint.Value):
		s.problem(name, value, nodetemplate.ReasonTaintValue, "a value that Kubernetes allows")
	default:
		s.Taints = slices.DeleteFunc(s.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) })
		s.Taints = append(s.Taints, taint)
	}
}

const mostPods = 10_000 // far above the pods of any node

func (s settings) maxPods(what, value string) {
	if hasUnresolved(value) {
		s.MaxPods, s.IgnoreAddresses = 0, false // some number is set: the image's is safer than kubelet's default
	}
	s.pods(&s.MaxPods, what, value, 1)
}

// pods reads a number of pods, which is at least as large as least.
func (s settings) pods(to *int, what, value string, least int) {
	n, err := strconv.Atoi(strings.TrimSpace(value))
	switch {
	case s.unresolvedIn(what, "", value):
	case err != nil || n < least || n > mostPods:
		s.problem(what, value, nodetemplate.ReasonKubeletSetting, fmt.Sprintf("a number of pods, %d to %d", least, mostPods))
	default:
		*to = n
	}
}

const mostCPUs = 4096 // above the CPUs of any node

// reserveCPUs reserves the CPUs of a list such as "0-3,8", in place of the CPU of both reservations.
func (s settings) reserveCPUs(list string) {
	const name = "--reserved-cpus"
	if list == "" || s.unresolvedIn(name, "", list) {
		return
	}
	n := 0
	for item := range strings.SplitSeq(list, ",") {
		from, to, _ := strings.Cut(item, "-")
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(cmp.Or(to, from))
		if err != nil || err2 != nil || first > last || last >= mostCPUs {
			s.problem(name, list, nodetemplate.ReasonKubeletSetting, "a list of CPUs such as 0-3,8")
			return
		}
		n += last - first + 1
	}
	put(&s.KubeReserved.Amounts, corev1.ResourceCPU, nodetemplate.Amount{})
	put(&s.SystemReserved.Amounts, corev1.ResourceCPU, nodetemplate.Amount{Quantity: *resource.NewQuantity(int64(n), resource.DecimalSI)})
}

// keep adds amounts to the ones that are kept from pods. read reads each, and says whether it counts, or what a valid one is. Where one is
// not known the image's own stays, which is safer than none.
func (s settings) keep(r *nodetemplate.Reservation, what string, list []pair, read func(pair) (amount nodetemplate.Amount, counts bool, expected string)) {
	for _, p := range list {
		if !s.spend(settingWork) {
			return
		}
		amount, counts, expected := read(p)
		switch {
		case s.unresolvedIn(what, p.key, p.value):
			r.Whole = false
		case expected != "":
			r.Whole = false
			s.problem(what+" "+p.key, p.value, nodetemplate.ReasonKubeletSetting, expected)
		case counts:
			put(&r.Amounts, corev1.ResourceName(p.key), amount)
		}
	}
}

// reserved reads an amount of a reservation. Kubelet also knows "pid", which is no resource of a node.
func reserved(p pair) (amount nodetemplate.Amount, counts bool, expected string) {
	switch corev1.ResourceName(p.key) {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		amount.Quantity, expected = nodetemplate.ParseQuantity(p.value)
		return amount, true, expected
	case "pid":
		return amount, false, ""
	}
	return amount, false, "cpu, memory, ephemeral-storage or pid"
}

// threshold reads a quantity or percentage below which kubelet evicts. Kubelet takes 0% and 100% for no threshold at all. No other signal
// takes resources from pods.
func threshold(p pair) (amount nodetemplate.Amount, counts bool, expected string) {
	if p.key != "memory.available" && p.key != "nodefs.available" {
		return amount, false, ""
	}
	if percent, ok := strings.CutSuffix(p.value, "%"); ok {
		f, err := strconv.ParseFloat(percent, 32)
		if len(percent) > 32 || err != nil || !(f >= 0 && f <= 100) {
			return amount, true, "a quantity, or a percentage of 0% to 100%"
		}
		if f < 100 {
			amount.Ratio = f / 100
		}
		return amount, true, ""
	}
	if amount.Quantity, expected = nodetemplate.ParseQuantity(p.value); expected != "" {
		expected += ", or a percentage"
	}
	return amount, true, expected
}

func put[M ~map[K]V, K comparable, V any](m *M, key K, value V) {
	if *m == nil {
		*m = M{}
	}
	(*m)[key] = value
}

// kubeletConfig reads a configuration of kubelet, laid over the image's own, or of kubeadm join, that user data writes to a file.
func (r *reader) kubeletConfig(text string) {
	for _, doc := range r.yamlDocuments(text, kubeletKind.FindStringSubmatch(text)[1]) {
		if at[string](doc, "kind") == "JoinConfiguration" {
			r.addKubeletArgs(joinArgs(at[any](doc, "nodeRegistration")), r.conditions > 0)
			continue
		}
		if r.conditions == 0 {
			r.kubelet = r.merge(r.kubelet, doc)
		} else if len(r.kubeletBranches) < maxNesting {
			r.kubeletBranches = append(r.kubeletBranches, doc)
		}
	}
}

// joinArgs returns the arguments of kubelet that kubeadm makes of nodeRegistration. Its kubeletExtraArgs are a map up to v1beta3, then a
// list of names and values.
func joinArgs(registration any) (args []string) {
	var taints []string
	for _, item := range at[[]any](registration, "taints") {
		taints = append(taints, at[string](item, "key")+"="+at[string](item, "value")+":"+at[string](item, "effect"))
	}
	if len(taints) > 0 {
		args = append(args, "--register-with-taints="+strings.Join(taints, ","))
	}
	for _, p := range sortedPairs(at[object](registration, "kubeletExtraArgs")) {
		args = append(args, "--"+p.key+"="+p.value)
	}
	for _, item := range at[[]any](registration, "kubeletExtraArgs") {
		args = append(args, "--"+at[string](item, "name")+"="+at[string](item, "value"))
	}
	return args
}

// applyConfig lays a kubelet configuration over the image's, so settings that it does not name stay.
func (s settings) applyConfig(config map[string]any) {
	if value, ok := config["maxPods"].(string); ok {
		s.maxPods("kubelet maxPods", value)
	}
	if value, ok := config["podsPerCore"].(string); ok {
		s.pods(&s.PodsPerCore, "kubelet podsPerCore", value, 0)
	}
	*s.reservedCPUs = cmp.Or(at[string](config, "reservedSystemCPUs"), *s.reservedCPUs)
	s.keep(&s.KubeReserved, "kubelet kubeReserved", sortedPairs(at[object](config, "kubeReserved")), reserved)
	s.keep(&s.SystemReserved, "kubelet systemReserved", sortedPairs(at[object](config, "systemReserved")), reserved)
	s.keep(&s.EvictionHard, "kubelet evictionHard", sortedPairs(at[object](config, "evictionHard")), threshold)
	for _, item := range at[[]any](config, "registerWithTaints") {
		s.taint("kubelet registerWithTaints", corev1.Taint{
			Key: at[string](item, "key"), Value: at[string](item, "value"), Effect: corev1.TaintEffect(at[string](item, "effect")),
		})
	}
}
