package top

import "unicode/utf8"

// sequences are the ends of the escape sequences that terminals send for keys (xterm, "PC-Style Function Keys").
var sequences = map[string]Key{
	"A": KeyUp, "B": KeyDown, "H": KeyHome, "F": KeyEnd, "Z": KeyBackTab,
	"1~": KeyHome, "7~": KeyHome, "4~": KeyEnd, "8~": KeyEnd, "5~": KeyPageUp, "6~": KeyPageDown,
}

// keys splits what one read of the terminal returned. An escape character at the end is the key Escape.
func keys(in []byte) []Key {
	var out []Key
	for len(in) > 0 {
		if in[0] == 0x1b && len(in) > 2 && (in[1] == '[' || in[1] == 'O') {
			end := 2
			for end < len(in)-1 && (in[end] < 0x40 || in[end] > 0x7e) {
				end++
			}
			key, known := sequences[string(in[2:end+1])]
			if !known {
				key = KeyOther
			}
			out, in = append(out, key), in[end+1:]
			continue
		}
		r, size := utf8.DecodeRune(in)
		if r == '\n' {
			r = '\r'
		}
		out, in = append(out, Key(r)), in[size:]
	}
	return out
}
