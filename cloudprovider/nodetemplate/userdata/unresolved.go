package userdata

import "strings"

// Expanded text has an expression that only the node can evaluate as its name between these two marks, without a name where it
// is no plain variable. The marks are of Unicode's private use area. clean removes them from outside text.
const (
	markStart = "\ue000"
	markEnd   = "\ue001"
)

func unresolved(name string) string { return markStart + name + markEnd }

func hasUnresolved(s string) bool { return strings.Contains(s, markStart) }

var (
	withoutMarks = strings.NewReplacer(markStart, "?", markEnd, "?", "\x00", "", "\r\n", "\n")
	marksShown   = strings.NewReplacer(markStart+markEnd, "$(…)", markStart, "${", markEnd, "}")
)

// clean prepares text from outside: no marks, no NULs, Unix line ends, and UTF-8 only, without which no YAML or TOML can be parsed.
func clean(s string) string {
	s = strings.ToValidUTF8(strings.TrimPrefix(s, "\ufeff"), "?")
	if !strings.ContainsAny(s, "\x00\r") && !strings.Contains(s, markStart) && !strings.Contains(s, markEnd) {
		return s
	}
	return withoutMarks.Replace(s)
}

// wholeArray reports whether a word stands for all values of an array that cannot be read, each a word to the shell.
func wholeArray(word string) bool {
	return strings.HasSuffix(word, "[@]"+markEnd) || strings.HasSuffix(word, "[*]"+markEnd)
}
