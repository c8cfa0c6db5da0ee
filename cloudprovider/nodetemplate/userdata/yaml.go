package userdata

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

const (
	maxYAMLDepth     = 32
	maxYAMLDocuments = 64
)

var errYAMLTooLarge = errors.New("too deeply nested or too large with its aliases")

// yamlDocuments decodes all documents of a YAML stream, JSON included, up to the first that does not parse. Aliases are
// followed within the budget: a few hundred bytes of them can stand for gigabytes.
func (r *reader) yamlDocuments(text, what string) []map[string]any {
	if !r.spend(yamlWork(text)) {
		return nil
	}
	var list []map[string]any
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for range maxYAMLDocuments {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return list
		}
		var value any
		if err == nil {
			value, err = r.yamlValue(&node, 0)
		}
		if err != nil {
			r.unreadable(what, "YAML that can be parsed")
			return list
		}
		if m, ok := value.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

// yamlWork estimates the parser's steps for a text. Most go into nodes and lines, which these bytes begin or end. At the end of
// a block, the parser looks through the comments before it, once for each level that ends.
func yamlWork(text string) int {
	tokens, comments, levels := 0, 0, 0
	for line := range strings.SplitSeq(text, "\n") {
		tokens++
		for i := range len(line) {
			if strings.IndexByte(",[{:-?*&", line[i]) >= 0 {
				tokens++
			}
		}
		content := strings.TrimLeft(line, " -?")
		levels = max(levels, len(line)-len(content))
		comments += strings.Count(content, "#")
	}
	return parserWork + 2*len(text) + yamlTokenWork*tokens + comments*levels/2
}

const yamlTokenWork = 64

func (r *reader) yamlValue(node *yaml.Node, depth int) (any, error) {
	if depth > maxYAMLDepth || !r.spend(len(node.Value)+16) {
		return nil, errYAMLTooLarge
	}
	switch node.Kind {
	case yaml.DocumentNode:
		if len(node.Content) == 1 {
			return r.yamlValue(node.Content[0], depth+1)
		}
	case yaml.AliasNode:
		return r.yamlValue(node.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for _, item := range node.Content {
			value, err := r.yamlValue(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			value, err := r.yamlValue(node.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if merged, ok := value.(map[string]any); ok && node.Content[i].Tag == "!!merge" {
				for k, v := range merged {
					if _, set := m[k]; !set {
						m[k] = v
					}
				}
				continue
			}
			if !r.spend(len(node.Content[i].Value) + 16) {
				return nil, errYAMLTooLarge
			}
			m[node.Content[i].Value] = value
		}
		return m, nil
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return nil, nil
		}
		return node.Value, nil // numbers and booleans too: all are read as text
	}
	return nil, nil
}

// object is what YAML, JSON and TOML keep under keys.
type object = map[string]any

// at returns the text, object or list below the keys. It is empty where there is none, or something else.
func at[T any](value any, keys ...string) T {
	for _, key := range keys {
		m, _ := value.(object)
		value = m[key]
	}
	found, _ := value.(T)
	return found
}

// merge lays src over dst, map by map, and replaces lists and scalars. Both may share values afterwards.
func (b *budget) merge(dst, src map[string]any) map[string]any {
	if dst == nil {
		dst = map[string]any{}
	}
	for _, key := range slices.Sorted(maps.Keys(src)) {
		if !b.spend(2 * wordWork) {
			break
		}
		if m, ok := src[key].(map[string]any); ok {
			dst[key] = b.merge(at[object](dst, key), m)
			continue
		}
		dst[key] = src[key]
	}
	return dst
}
