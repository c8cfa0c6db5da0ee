package top

import (
	"regexp"
	"strings"
)

// names are the keys that a terminal sends as control characters or escape sequences (xterm, "PC-Style Function Keys").
var names = map[string]string{
	"\x03": "ctrl+c", "\x15": "ctrl+u", "\x1b": "escape", "\t": "tab", "\x1b[Z": "shift+tab", "\r": "enter", "\n": "enter",
	"\x7f": "backspace", "\b": "backspace", "\x1b[A": "up", "\x1b[B": "down", "\x1b[5~": "page up", "\x1b[6~": "page down",
	"\x1b[H": "home", "\x1b[1~": "home", "\x1b[7~": "home", "\x1b[F": "end", "\x1b[4~": "end", "\x1b[8~": "end",
}

// oneKey matches an escape sequence, the beginning of one at the end of the input, or a character.
var oneKey = regexp.MustCompile(`\x1b\[([^@-~]*[@-~]|[^@-~]+)|(?s:.)`)

// keys splits what one read of the terminal returned into keys: names, and characters or sequences that have none.
func keys(in string) []string {
	// Terminals in application mode send O where others send [.
	out := oneKey.FindAllString(strings.ReplaceAll(in, "\x1bO", "\x1b["), -1)
	for i, k := range out {
		if name, named := names[k]; named {
			out[i] = name
		}
	}
	return out
}
