package scenario

import "strings"

const (
	raceRule   = "==================\n"
	raceTitle  = "WARNING: DATA RACE\n"
	ownModule  = "github.com/asg-autoscaler/asg-autoscaler/"
	ownProgram = "main." // the race detector reports functions of package main under that name
)

// OwnRaces returns the race detector's reports in a log in which our own code made one of the two accesses. The core has races
// of its own, in its event recorder and its status writer for example, which must not fail our tests.
func OwnRaces(log string) []string {
	var own []string
	for part := range strings.SplitSeq(log, raceRule) {
		report, isRace := strings.CutPrefix(part, raceTitle)
		if isRace && involvesOwnCode(report) {
			own = append(own, report)
		}
	}
	return own
}

// involvesOwnCode reports whether an access of the race was made by our code, or by the standard library on behalf of it.
func involvesOwnCode(report string) bool {
	inAccess := false
	for line := range strings.SplitSeq(report, "\n") {
		switch {
		case isAccess(line):
			inAccess = true
		case !inAccess || !isFrame(line):
		case strings.HasPrefix(line, "  "+ownModule) || strings.HasPrefix(line, "  "+ownProgram):
			return true
		case !isStandardLibrary(line):
			inAccess = false // somebody else's code made the access
		}
	}
	return false
}

// isAccess recognises the line above the stack of an access, such as "Previous write at 0x00c000e262b0 by goroutine 452:".
func isAccess(line string) bool {
	lower := strings.ToLower(line)
	return strings.Contains(lower, "read at 0x") || strings.Contains(lower, "write at 0x")
}

// isFrame recognises the line of a stack that names a function. The line with its file is indented further.
func isFrame(line string) bool {
	return strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ")
}

// isStandardLibrary reports whether a frame's import path begins without a domain, as only the standard library's do.
func isStandardLibrary(frame string) bool {
	first, _, nested := strings.Cut(strings.TrimSpace(frame), "/")
	return !nested || !strings.Contains(first, ".")
}
