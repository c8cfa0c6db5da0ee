package top

import "strings"

// style is the look of a piece of a line, as a parameter of Select Graphic Rendition.
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	chosen style = "7" // under the cursor
	good   style = "32"
	warn   style = "33"
	bad    style = "31"
)

// colour reports whether the style is a colour. Terminals without colour get none.
func (s style) colour() bool { return strings.HasPrefix(string(s), "3") }

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
		if s.style == plain || s.style.colour() && !colour {
			b.WriteString(s.text)
			continue
		}
		b.WriteString("\x1b[" + string(s.style) + "m" + s.text + "\x1b[0m")
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
