package top

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Panels of the screen.
const (
	groupsPanel = iota
	nodesPanel
	podsPanel
	decisionsPanel
	panels
)

// mostFilter bounds the filter, in bytes.
const mostFilter = 64

// View is the user's choice of panel, order, filter and page. The zero value, with a size, is the view at the start.
type View struct {
	Width, Height int
	Program       string // by whose name the user calls asgctl
	Paused        bool
	Failure       string // of the last reading, "" if it succeeded

	focus  int
	lists  [panels]list
	filter string
	typing bool // the filter
	page   page
	every  bool // all nodes, not those on their way alone
}

// list is the user's view of one panel.
type list struct {
	sort     string // title of the column, "" for the panel's own
	reversed bool
	cursor   int // row, from 0
}

// page is what lies over the panels.
type page uint8

const (
	noPage page = iota
	helpPage
	detailPage
)

// far is further than any list is long.
const far = 1 << 30

// Press returns the view after a key of the terminal, and whether the key ends the program.
func (v View) Press(k string) (_ View, quit bool) {
	if k == "ctrl+c" {
		return v, true
	}
	if v.typing {
		return v.typed(k), false
	}
	l := &v.lists[v.focus]
	switch k {
	case "q":
		return v, true
	case "?", "h":
		v.page = toggled(v.page, helpPage)
	case "enter":
		v.page = toggled(v.page, detailPage)
	case "escape":
		if v.page == noPage {
			v.filter = ""
		}
		v.page = noPage
	case "n":
		v.every, v.focus, v.lists[nodesPanel] = !v.every, nodesPanel, list{}
		if v.every {
			v.lists[nodesPanel].sort = monthTitle
		}
	case " ", "p":
		v.Paused = !v.Paused
	case "/":
		v.typing, v.page = true, noPage
	case "tab":
		v.focus = (v.focus + 1) % panels
	case "shift+tab":
		v.focus = (v.focus + panels - 1) % panels
	case "1", "2", "3", "4":
		v.focus = int(k[0] - '1')
	case "s":
		titles := v.titles(v.focus)
		*l = list{sort: titles[(slices.Index(titles, v.sorted(v.focus))+1)%len(titles)]}
	case "r":
		l.reversed, l.cursor = !l.reversed, 0
	case "up", "k":
		l.cursor--
	case "down", "j":
		l.cursor++
	case "page up":
		l.cursor -= max(1, v.Height/2)
	case "page down":
		l.cursor += max(1, v.Height/2)
	case "home", "g":
		l.cursor = 0
	case "end", "G":
		l.cursor = far
	}
	return v, false
}

// typed is Press while the user types a filter. The filter holds at once.
func (v View) typed(k string) View {
	switch {
	case k == "enter":
		v.typing = false
	case k == "escape":
		v.typing, v.filter = false, ""
	case k == "ctrl+u":
		v.filter = ""
	case k == "backspace":
		_, last := utf8.DecodeLastRuneInString(v.filter)
		v.filter = v.filter[:len(v.filter)-last]
	case utf8.RuneCountInString(k) == 1 && k >= " " && len(v.filter)+len(k) <= mostFilter:
		v.filter += clean(k)
	}
	for i := range v.lists {
		v.lists[i].cursor = 0
	}
	return v
}

func toggled(was, to page) page {
	if was == to {
		return noPage
	}
	return to
}

// sorted is the title of the column that a panel is sorted by.
func (v View) sorted(p int) string {
	if s := v.lists[p].sort; s != "" {
		return s
	}
	return firstSort[p]
}

// admits reports whether the filter is in one of the texts of a row, in upper or lower case.
func (v View) admits(texts ...string) bool {
	if v.filter == "" {
		return true
	}
	wanted := strings.ToLower(v.filter)
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(clean(text)), wanted) })
}
