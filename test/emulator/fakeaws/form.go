package fakeaws

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
)

// A form holds the parameters of a query request. Lists come as Prefix.1, Prefix.2 and so on.
type form url.Values

func (f form) get(key string) string { return url.Values(f).Get(key) }

func (f form) has(key string) bool { return url.Values(f).Has(key) }

// list returns the values of prefix.1, prefix.2, … up to the first number that is missing.
func (f form) list(prefix string) []string {
	var out []string
	for i := 1; ; i++ {
		key := prefix + "." + strconv.Itoa(i)
		if !f.has(key) {
			return out
		}
		out = append(out, f.get(key))
	}
}

// sub returns the parameters below prefix, without it.
func (f form) sub(prefix string) form {
	out := form{}
	for key, values := range f {
		if rest, ok := strings.CutPrefix(key, prefix+"."); ok {
			out[rest] = values
		}
	}
	return out
}

// structs returns the members of a list of structures, prefix.1.…, prefix.2.…
func (f form) structs(prefix string) []form {
	all := f.sub(prefix)
	if len(all) == 0 {
		return nil
	}
	var out []form
	for i := 1; ; i++ {
		member := all.sub(strconv.Itoa(i))
		if len(member) == 0 {
			return out
		}
		out = append(out, member)
	}
}

// number reads an integer, or fallback if there is none.
func (f form) number(key string, fallback int) (int, error) {
	if !f.has(key) {
		return fallback, nil
	}
	n, err := strconv.Atoi(f.get(key))
	if err != nil {
		return 0, &apiError{Code: "MalformedInput", Message: "Invalid value for " + key + ": " + f.get(key)}
	}
	return n, nil
}

// boolean is true for "true" alone.
func (f form) boolean(key string) bool { return strings.EqualFold(f.get(key), "true") }

// page cuts one page out of items that are sorted by key: those after the token's key, limit at most. The next token is empty
// on the last page. It stays good while items come and go.
func page[T any](items []T, key func(T) string, token string, limit int) (out []T, next string, valid bool) {
	after, valid := decodeToken(token)
	if !valid {
		return nil, "", false
	}
	if token != "" {
		for len(items) > 0 && key(items[0]) <= after {
			items = items[1:]
		}
	}
	if len(items) <= limit {
		return items, "", true
	}
	return items[:limit], encodeToken(key(items[limit-1])), true
}

const tokenMark = "after:"

func encodeToken(key string) string {
	return base64.StdEncoding.EncodeToString([]byte(tokenMark + key))
}

func decodeToken(token string) (key string, valid bool) {
	if token == "" {
		return "", true
	}
	raw, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(string(raw), tokenMark)
}
