package top

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

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
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
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
