package userdata

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// Scripts edit the configuration of kubelet in place with jq: echo "$(jq '.maxPods=58' $CONFIG)" > $CONFIG. The edited file
// need not be known, for no other file has settings of these names at its top.
var jqSettings = []string{"maxPods", "kubeReserved", "systemReserved", "evictionHard", "registerWithTaints"}

// setByBootstrap are the settings that bootstrap.sh overwrites in the file (awslabs/amazon-eks-ami, bootstrap.sh of Amazon
// Linux 2, read 2026-11). It sets maxPods only where it counts addresses.
var setByBootstrap = []string{"kubeReserved", "evictionHard", "maxPods"}

// jqProgram returns the filter of a command that runs jq, with the values of its arguments, or "" if the command does not.
func jqProgram(words []string) (filter string, values map[string]string) {
	for len(words) > 0 && (words[0] == "sudo" || words[0] == "-E" || words[0] == "command") {
		words = words[1:]
	}
	if len(words) == 0 || path.Base(words[0]) != "jq" {
		return "", nil
	}
	values = map[string]string{}
	for words = words[1:]; len(words) > 0; words = words[1:] {
		switch option := words[0]; {
		case (option == "--arg" || option == "--argjson") && len(words) > 2:
			values["$"+words[1]] = words[2]
			words = words[2:]
		case option == "--indent" && len(words) > 1:
			words = words[1:]
		case !strings.HasPrefix(option, "-"):
			return option, values
		}
	}
	return "", nil
}

// jq reads the edits of kubelet's configuration that a filter of jq makes.
func (r *reader) jq(filter string, values map[string]string, conditional bool) {
	if !slices.ContainsFunc(jqSettings, func(name string) bool { return strings.Contains(filter, name) }) || !r.spend(4*len(filter)) {
		return
	}
	for _, step := range splitTop(filter, '|') {
		at, value, assigns := strings.Cut(step, "=")
		if !assigns || strings.HasPrefix(value, "=") || strings.ContainsAny(lastByte(at), "!<>") {
			if strings.Contains(step, "del(") || strings.Contains(step, "setpath(") {
				r.problem("jq", step, nodetemplate.ReasonUnresolved, literal)
			}
			continue // it only reads
		}
		keys, ok := jqPath(strings.TrimRight(at, "+*|"))
		docs := r.yamlDocuments("value: "+value, "jq")
		if !ok || len(docs) != 1 {
			r.problem("jq", step, nodetemplate.ReasonUnresolved, literal)
			continue
		}
		edit := jqValue(docs[0]["value"], values)
		for _, key := range slices.Backward(keys) {
			edit = map[string]any{key: edit}
		}
		settings, _ := edit.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			r.jqSetting(name, settings[name], conditional)
		}
	}
}

// jqSetting reads one setting that jq writes.
func (r *reader) jqSetting(name string, value any, conditional bool) {
	text, isText := value.(string)
	switch {
	case !slices.Contains(jqSettings, name):
	case conditional:
		r.problem("jq "+name, text, nodetemplate.ReasonConditional, "kubelet's configuration to be the same under all conditions")
	case isText && name != "maxPods":
		if !r.unresolvedIn("jq", name, text) {
			r.problem("jq "+name, text, nodetemplate.ReasonKubeletSetting, "an object or list as kubelet's configuration has it")
		}
	default:
		r.edited = merge(r.edited, map[string]any{name: value})
	}
}

// bootstrapped reports the edits that are lost because bootstrap.sh runs after them.
func (r *reader) bootstrapped(keepsMaxPods bool) {
	for _, name := range setByBootstrap {
		if _, ok := r.edited[name]; ok && (name != "maxPods" || !keepsMaxPods) {
			delete(r.edited, name)
			r.problem("jq "+name, "", nodetemplate.ReasonKubeletSetting, "the edit behind the call of bootstrap.sh, which sets it anew")
		}
	}
}

// splitTop splits a filter at a byte outside quotes, brackets and assignments.
func splitTop(filter string, separator byte) []string {
	var steps []string
	depth, start, quoted := 0, 0, false
	for i := 0; i < len(filter); i++ {
		switch c := filter[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == separator && depth == 0 && !strings.HasPrefix(filter[i+1:], "="):
			steps = append(steps, filter[start:i])
			start = i + 1
		}
	}
	return append(steps, filter[start:])
}

// jqPath splits a path such as .a."b.c"["d"] into keys. The path . has none.
func jqPath(text string) (keys []string, ok bool) {
	text = strings.TrimSpace(text)
	for {
		rest, dot := strings.CutPrefix(text, ".")
		rest, bracket := strings.CutPrefix(rest, "[")
		if !dot && !bracket {
			return keys, text == "" && keys != nil
		}
		if rest == "" && keys == nil && !bracket {
			return nil, true
		}
		key := ""
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			key, rest, _ = strings.Cut(quoted, `"`)
		} else {
			end := 0
			for end < len(rest) && isNameByte(rest[end], true) {
				end++
			}
			key, rest = rest[:end], rest[end:]
		}
		if bracket {
			rest, ok = strings.CutPrefix(rest, "]")
		}
		if key == "" || bracket && !ok {
			return nil, false
		}
		keys, text = append(keys, key), rest
	}
}

// jqValue replaces arguments by their values, and marks values that are no literals.
func jqValue(value any, values map[string]string) any {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			v[key] = jqValue(item, values)
		}
	case []any:
		for i, item := range v {
			v[i] = jqValue(item, values)
		}
	case string:
		if known, ok := values[v]; ok {
			return known
		}
		if strings.HasPrefix(v, "$") || strings.HasPrefix(v, ".") || strings.HasPrefix(v, "(") {
			return unresolved(v)
		}
	}
	return value
}

func lastByte(s string) string { return s[max(0, len(s)-1):] }
