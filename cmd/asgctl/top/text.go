package top

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wide holds the characters that terminals draw two cells wide: East Asian Width W and F (Unicode 16, EastAsianWidth.txt), in
// fewer and larger ranges where the gaps are not assigned.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1}, {0x231a, 0x231b, 1}, {0x2329, 0x232a, 1}, {0x23e9, 0x23ec, 1}, {0x23f0, 0x23f3, 3}, {0x25fd, 0x25fe, 1},
		{0x2614, 0x2615, 1}, {0x2630, 0x2637, 1}, {0x2648, 0x2653, 1}, {0x267f, 0x268a, 11}, {0x268b, 0x268f, 1}, {0x2693, 0x26a1, 14},
		{0x26aa, 0x26ab, 1}, {0x26bd, 0x26be, 1}, {0x26c4, 0x26c5, 1}, {0x26ce, 0x26d4, 6}, {0x26ea, 0x26f2, 8}, {0x26f3, 0x26f5, 2},
		{0x26fa, 0x26fd, 3}, {0x2705, 0x270a, 5}, {0x270b, 0x2728, 29}, {0x274c, 0x274e, 2}, {0x2753, 0x2755, 1}, {0x2757, 0x2757, 1},
		{0x2795, 0x2797, 1}, {0x27b0, 0x27bf, 15}, {0x2b1b, 0x2b1c, 1}, {0x2b50, 0x2b55, 5}, {0x2e80, 0x303e, 1}, {0x3041, 0x4dbf, 1},
		{0x4e00, 0xa4cf, 1}, {0xa960, 0xa97f, 1}, {0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe10, 0xfe19, 1}, {0xfe30, 0xfe6b, 1},
		{0xff01, 0xff60, 1}, {0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{
		{0x16fe0, 0x18d08, 1}, {0x1aff0, 0x1b2fb, 1}, {0x1f004, 0x1f0cf, 203}, {0x1f18e, 0x1f18e, 1}, {0x1f191, 0x1f19a, 1}, {0x1f200, 0x1f265, 1},
		{0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f7e0, 0x1f7eb, 1}, {0x1f90c, 0x1faff, 1}, {0x20000, 0x2fffd, 1}, {0x30000, 0x3fffd, 1},
	},
}

// clean makes text safe to draw. It replaces every character that moves the cursor, changes the direction of text, has no form of
// its own, or sits on the one before, because terminals differ in the width of such.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r) || unicode.Is(unicode.M, r):
			return utf8.RuneError
		}
		return r
	}, s)
}

// cells is the width of clean text in a terminal.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if r >= 0x1100 && unicode.Is(wide, r) {
		return 2
	}
	return 1
}

// fit makes clean text exactly so many cells wide: padded, or cut with an ellipsis.
func fit(s string, width int, right bool) string {
	if width <= 0 {
		return ""
	}
	n := cells(s)
	if n > width {
		room := width - 1
		for at, r := range s {
			if room -= runeCells(r); room < 0 {
				s = s[:at] + "…"
				break
			}
		}
		n = cells(s)
	}
	padding := strings.Repeat(" ", width-n)
	if right {
		return padding + s
	}
	return s + padding
}

// wrapped breaks clean text at spaces, and words longer than a line anywhere.
func wrapped(s string, width int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(s) {
		n := cells(word)
		if used > 0 && used+1+n > width {
			lines, line, used = append(lines, line), "", 0
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		for _, r := range word {
			if used+runeCells(r) > width {
				lines, line, used = append(lines, line), "", 0
			}
			line, used = line+string(r), used+runeCells(r)
		}
	}
	return append(lines, line)
}
