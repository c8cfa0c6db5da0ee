package scenario

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test's own program stand in for the autoscaler, so that tests control its end.
func TestMain(m *testing.M) {
	if address, stands := argument("--address"); stands {
		os.Exit(standIn(address))
	}
	os.Exit(m.Run())
}

// standIn answers health checks until SIGTERM or until it is asked to end. It prints the text of --say, and ends with the exit
// code of --code.
func standIn(address string) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	text, _ := argument("--say")
	fmt.Fprintln(os.Stderr, text)
	asked := make(chan struct{}, 1)
	http.HandleFunc("/health-check", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/end", func(http.ResponseWriter, *http.Request) { asked <- struct{}{} })
	go http.ListenAndServe(address, nil) //nolint:errcheck,gosec // a test's own server, which the test asks until it answers
	select {
	case <-terminated:
	case <-asked:
	}
	word, _ := argument("--code")
	code, _ := strconv.Atoi(word)
	return code
}

func argument(name string) (value string, given bool) {
	for _, arg := range os.Args[1:] {
		if value, given = strings.CutPrefix(arg, name+"="); given {
			return value, true
		}
	}
	return "", false
}
