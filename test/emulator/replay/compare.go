package replay

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/accountcheck"
)

// notEmulated are members that AWS sends and the emulator does not, because the autoscaler reads none of them.
var notEmulated = []string{"LaunchTemplateVersions[].LaunchTemplateData.KeyName"}

// compare returns the differences of two answers: status, code, and each member of the recorded answer that the other one lacks or has with
// another type. A list has the members of all its elements. Values, such as IDs and times, and further members may differ.
func compare(recorded, replayed accountcheck.Exchange) []string {
	var found []string
	if recorded.Status != 0 && recorded.Status != replayed.Status {
		found = append(found, fmt.Sprintf("status: recorded %d, the emulator sends %d", recorded.Status, replayed.Status))
	}
	if recorded.Code != replayed.Code {
		found = append(found, fmt.Sprintf("code: recorded %q, the emulator sends %q (%s)", recorded.Code, replayed.Code, replayed.Message))
	}
	if recorded.Code != "" || replayed.Code != "" {
		return found
	}
	want, got := members{}, members{}
	want.add("", recorded.Answer)
	got.add("", replayed.Answer)
	absent := "\x00"
	for _, path := range slices.Sorted(maps.Keys(want)) {
		example, sent := got[path]
		switch {
		case strings.HasPrefix(path, absent), slices.Contains(notEmulated, path):
		case !sent:
			found = append(found, fmt.Sprintf("%s: recorded %s, the emulator sends none", path, show(want[path])))
			absent = path
		case kind(want[path]) != kind(example):
			found = append(found, fmt.Sprintf("%s: recorded %s, the emulator sends %s", path, show(want[path]), show(example)))
		}
	}
	return found
}

// members are the members of an answer, with the first value of each, by path: Instances[].InstanceIds[].
type members map[string]any

// placeholder is a key of a map that belongs to the account.
var placeholder = regexp.MustCompile(`^[A-Za-z]+-[0-9a-f]+$`)

func (m members) add(path string, value any) {
	if _, known := m[path]; !known && path != "" {
		m[path] = value
	}
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			m.add(path+"[]", element)
		}
	case map[string]any:
		for name, inner := range value {
			if placeholder.MatchString(name) {
				name = "*"
			}
			m.add(strings.TrimPrefix(path+"."+name, "."), inner)
		}
	}
}

func kind(value any) string {
	switch value.(type) {
	case []any:
		return "list"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", value)
}

func show(value any) string {
	switch value := value.(type) {
	case []any:
		return fmt.Sprintf("a list of %d", len(value))
	case map[string]any:
		return "an object"
	case string:
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprint(value)
}
