package running

import (
	filename "path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// ClusterAutoscaler is the last part of an image's name, or the name of a container or its command.
const ClusterAutoscaler = "cluster-autoscaler"

// autoscaler matches the name, with the tag and the digest of an image.
var autoscaler = regexp.MustCompile(`(^|[/_-])cluster-autoscaler(-amd64|-arm64)?(:[^/@]*)?(@.*)?$`)

// AutoscalerIn returns the first container of the pod that runs a Cluster Autoscaler, if one does. Of a plugin and the core that it answers, it returns
// the plugin. An init container that always restarts runs as long as the pod.
func AutoscalerIn(pod *corev1.PodSpec) (c corev1.Container, runs bool) {
	sidecars := slices.DeleteFunc(slices.Clone(pod.InitContainers), func(c corev1.Container) bool { return !podutil.IsRestartableInitContainer(&c) })
	for _, one := range slices.Concat(sidecars, pod.Containers) {
		if FlagsOf(one).Plugin() || !runs && isAutoscaler(one) { // a plugin, whatever it is called
			c, runs = one, true
		}
	}
	return c, runs
}

// isAutoscaler reports whether the container is called after the Cluster Autoscaler.
func isAutoscaler(c corev1.Container) bool {
	words := append([]string{c.Image, c.Name}, c.Command[:min(len(c.Command), 1)]...)
	return slices.ContainsFunc(words, autoscaler.MatchString)
}

// Flags are the flags of a container, by name, which has hyphens. A flag may be repeated. Words that count for nothing have the name "".
type Flags map[string][]string

func FlagsOf(c corev1.Container) Flags {
	found := Flags{}
	for _, word := range words(c) {
		if flag, isFlag := strings.CutPrefix(word, "-"); isFlag {
			name, value, _ := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
			if name == "" { // the "--" of a shell or of an init program, behind which our flags come
				continue
			}
			name = nameOf(name)
			found[name] = append(found[name], value)
		} else if !Shell(c) && !autoscaler.MatchString(word) { // stock's image has the program among the arguments
			found[""] = append(found[""], word)
		}
	}
	return found
}

// Last returns the value that counts, or "".
func (f Flags) Last(name string) string {
	if values := f[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// Shadows reports whether the container watches another autoscaler and changes nothing.
func (f Flags) Shadows() bool { return len(f["shadow"]) > 0 && f.Last("shadow") != "false" }

// Plugin reports whether the container answers a core, and Core whether it is one that a plugin answers.
func (f Flags) Plugin() bool { return f.Last("asg-plugin-address") != "" }
func (f Flags) Core() bool   { return f.Last("cloud-provider") == "externalgrpc" }

// Shell reports whether the container starts a shell, whose script may have flags that nobody reads.
func Shell(c corev1.Container) bool {
	return len(c.Command) > 0 && slices.Contains([]string{"sh", "bash"}, filename.Base(c.Command[0]))
}

// words returns the words of a container's command and arguments behind its program. Each flag is one of them: --name=value for --name value, too.
func words(c corev1.Container) (words []string) {
	variables := map[string]string{} // one with a value from elsewhere stays as it is written
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			variables[e.Name] = e.Value
		}
	}
	for _, word := range slices.Concat(c.Command[min(len(c.Command), 1):], c.Args) {
		word = expansion.Expand(word, expansion.MappingFuncFor(variables))
		value := !strings.HasPrefix(word, "-") && !slices.Contains([]string{"true", "false"}, strings.ToLower(word)) // which no flag takes from a word of its own
		if last := len(words) - 1; value && last >= 0 && strings.HasPrefix(words[last], "-") && !strings.Contains(words[last], "=") {
			words[last] += "=" + word
			continue
		}
		words = append(words, word)
	}
	return words
}

// RegionOf returns the region of a container's environment, or "".
func RegionOf(c corev1.Container) string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		for _, v := range c.Env {
			if v.Name == name && v.Value != "" {
				return v.Value
			}
		}
	}
	return ""
}
