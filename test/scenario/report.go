package scenario

import (
	"fmt"
	"strings"
	"time"
)

// reportLines bounds how much of the autoscaler's log a report shows.
const reportLines = 80

// report is for the reader of a failed test: the timeline, and the end of the log.
func (e *Env) report() string {
	var text strings.Builder
	moments := e.Timeline.Since(time.Time{})
	text.WriteString("Timeline, seconds since its first entry:\n")
	for _, m := range moments {
		fmt.Fprintf(&text, "%8.2f  %-20s %s  %s\n", m.At.Sub(moments[0].At).Seconds(), m.Kind, m.Object, m.Detail)
	}
	log, err := e.Log()
	if err != nil {
		log = err.Error()
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	fmt.Fprintf(&text, "Autoscaler's log, %d lines, the last %d:\n", len(lines), min(len(lines), reportLines))
	text.WriteString(strings.Join(lines[max(0, len(lines)-reportLines):], "\n"))
	return text.String()
}
