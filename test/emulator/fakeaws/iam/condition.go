package iam

import (
	"fmt"
	"slices"
	"strings"
)

// A condition compares one key of the request with the values of a policy.
type condition struct {
	key               string // in lower case
	values            []string
	matches           func(pattern, value string) bool // nil for Null
	negated, ifExists bool
}

// operators are the known ones. Their Not forms hold where no value matches, and where the key is missing.
var operators = map[string]condition{
	"Bool":                      {matches: strings.EqualFold},
	"Null":                      {},
	"StringEquals":              {matches: same},
	"StringEqualsIgnoreCase":    {matches: strings.EqualFold},
	"StringLike":                {matches: like},
	"StringNotEquals":           {matches: same, negated: true},
	"StringNotEqualsIgnoreCase": {matches: strings.EqualFold, negated: true},
	"StringNotLike":             {matches: like, negated: true},
}

// knownKeys are the condition keys that a Request may carry. The last two stand for one key for each tag.
var knownKeys = []string{"aws:requestedregion", "aws:viaawsservice", "aws:resourcetag/", "autoscaling:resourcetag/"}

func same(pattern, value string) bool { return pattern == value }

func parseCondition(operator, key string, values []string) (condition, error) {
	plain, ifExists := strings.CutSuffix(operator, "IfExists")
	c, known := operators[plain]
	c.key, c.values, c.ifExists = strings.ToLower(key), values, ifExists
	isBoolean := func(v string) bool { return v == "true" || v == "false" }
	switch {
	case !known || ifExists && c.matches == nil:
		return c, fmt.Errorf("condition operator %q is not evaluated here", operator)
	case !slices.ContainsFunc(knownKeys, func(k string) bool {
		return c.key == k || strings.HasSuffix(k, "/") && strings.HasPrefix(c.key, k) && len(c.key) > len(k)
	}) || strings.HasSuffix(c.key, "/"):
		return c, fmt.Errorf("condition key %q is not evaluated here", key)
	case len(values) == 0:
		return c, fmt.Errorf("condition key %q has no value", key)
	case strings.Contains(strings.Join(values, ""), "${"):
		return c, fmt.Errorf("condition key %q: policy variables are not evaluated here", key)
	case (plain == "Bool" || plain == "Null") && slices.ContainsFunc(values, func(v string) bool { return !isBoolean(v) }):
		return c, fmt.Errorf("condition key %q: %s takes true or false", key, plain)
	}
	return c, nil
}

// holds reports whether the condition is met. One of several values is enough, and for the Not forms none may match.
func (c condition) holds(keys map[string]string) bool {
	value, there := keys[c.key]
	switch {
	case c.matches == nil: // Null: true asks for a missing key
		return slices.Contains(c.values, fmt.Sprint(!there))
	case !there:
		return c.ifExists || c.negated
	}
	return slices.ContainsFunc(c.values, func(pattern string) bool { return c.matches(pattern, value) }) != c.negated
}
