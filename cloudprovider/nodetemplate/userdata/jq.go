package userdata

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// Scripts edit the configuration of kubelet in place with jq: echo "$(jq '.maxPods=58' $CONFIG)" > $CONFIG. Which file a
// command edits need not be known, for no other file has settings of these names at its top.
var jqSettings = []string{"maxPods", "kubeReserved", "systemReserved", "evictionHard", "registerWithTaints"}

// setByBootstrap are the settings that bootstrap.sh sets anew, whatever the file said before (awslabs/amazon-eks-ami, bootstrap.sh
// of Amazon Linux 2, read 2026-11). It sets maxPods only where it is to count addresses.
var setByBootstrap = []string{"kubeReserved", "evictionHard", "maxPods"}

// jqProgram returns the filter of a command that runs jq, with the values of its arguments; "" if the command does not.
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

// jq takes in the edits of kubelet's configuration that a filter of jq makes.
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

// jqSetting takes in one setting that jq writes.
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

// bootstrapped notes that bootstrap.sh runs, which loses some of the edits before it.
func (r *reader) bootstrapped(keepsMaxPods bool) {
	for _, name := range setByBootstrap {
		if _, ok := r.edited[name]; ok && (name != "maxPods" || !keepsMaxPods) {
			delete(r.edited, name)
			r.problem("jq "+name, "", nodetemplate.ReasonKubeletSetting, "the edit behind the call of bootstrap.sh, which sets it anew")
		}
	}
}

// splitTop splits a filter at a byte that stands in no quotes and brackets and is not part of an assignment.
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

// jqPath splits a path such as .a."b.c"["d"] into keys; the path . has none.
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

// jqValue puts the values of arguments into what a filter assigns, and marks what is no literal.
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
