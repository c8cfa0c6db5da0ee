package top

import "strings"

// style is the look of a piece of a line.
type style uint8

const (
	plain style = iota
	bold
	faint
	good
	warn
	bad
	chosen // under the cursor
)

// sgr holds the parameters of Select Graphic Rendition. Terminals without colour get no colours.
var sgr = map[style]struct {
	code   string
	colour bool
}{
	bold: {"1", false}, faint: {"2", false}, chosen: {"7", false},
	good: {"32", true}, warn: {"33", true}, bad: {"31", true},
}

// span is clean text in one style.
type span struct {
	text  string
	style style
}

// Line is one line of the screen.
type Line []span

// String is the text without its styles.
func (l Line) String() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return b.String()
}

// paint returns the line as it is written to a terminal.
func (l Line) paint(colour bool) string {
	var b strings.Builder
	for _, s := range l {
		look := sgr[s.style]
		if look.code == "" || look.colour && !colour {
			b.WriteString(s.text)
			continue
		}
		b.WriteString("\x1b[" + look.code + "m" + s.text + "\x1b[0m")
	}
	return b.String()
}

// sized makes the line exactly so many cells wide.
func (l Line) sized(width int) Line {
	var out Line
	for _, s := range l {
		n := min(cells(s.text), width)
		if n == 0 {
			continue
		}
		out, width = append(out, span{fit(s.text, n, false), s.style}), width-n
	}
	if width > 0 {
		out = append(out, span{strings.Repeat(" ", width), plain})
	}
	return out
}

// in gives the whole line one style.
func (l Line) in(s style) Line { return Line{{l.String(), s}} }
