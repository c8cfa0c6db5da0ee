package scenario

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

// logPoll is the pause between two reads of the autoscaler's log. It is short, so that a choice is recorded before its
// consequences.
const logPoll = 5 * time.Millisecond

var (
	noFit  = regexp.MustCompile(`No pod can fit to (\S+)`)
	chosen = regexp.MustCompile(`"Found the scale-up option with the least waste" (.*)`)
	pair   = regexp.MustCompile(`(\w+)=("[^"]*"|\S+)`)
)

// observeLog adds a Moment for each choice of a group in the log, with the reasons given, until ctx ends. Only the autoscaler
// itself knows why a group was chosen.
func observeLog(ctx context.Context, path string, timeline *Timeline) {
	file, err := os.Open(path)
	if err != nil {
		return // an autoscaler without a log has no choices to read
	}
	defer file.Close()
	reader := bufio.NewReader(file)
	var choices choiceReader
	for partial := ""; ; {
		line, err := reader.ReadString('\n')
		partial += line
		if err == nil {
			if group, why, found := choices.read(partial); found {
				timeline.Add(Moment{At: time.Now(), Kind: GroupChosen, Object: group, Detail: why})
			}
			partial = ""
			continue
		}
		if err != io.EOF {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(logPoll):
		}
	}
}

// choiceReader puts together a choice from the lines of one loop: first the groups that fit no pod, then the winner.
type choiceReader struct {
	unfit []string
}

// read takes the next line and reports whether it completes a choice.
func (r *choiceReader) read(line string) (group, why string, found bool) {
	if match := noFit.FindStringSubmatch(line); match != nil {
		r.unfit = append(r.unfit, match[1])
		return "", "", false
	}
	match := chosen.FindStringSubmatch(line)
	if match == nil {
		return "", "", false
	}
	pairs := map[string]string{}
	for _, p := range pair.FindAllStringSubmatch(match[1], -1) {
		pairs[p[1]] = strings.Trim(p[2], `"`)
	}
	why = fmt.Sprintf("%s node(s) for %s pod(s), waste %.4s of 1; ", pairs["nodes"], pairs["pods"], pairs["score"])
	switch second, contested := pairs["runnerUp"]; {
	case contested:
		why += fmt.Sprintf("next best %s at %.4s", second, pairs["runnerUpScore"])
	case len(r.unfit) > 0:
		why += "no pod fits " + strings.Join(r.unfit, ", ")
	default:
		why += "the only option"
	}
	r.unfit = nil
	return pairs["nodeGroup"], why, true
}
