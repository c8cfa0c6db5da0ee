package command

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
)

// The signal ends the prompt. A prompt that comes after it still waits for the operator.
func TestSignalEndsThePrompt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if got := answer(ctx, bufio.NewScanner(strings.NewReader(" web \n"))); got != "web" {
		t.Errorf("answer %q", got)
	}
	silent, writer := io.Pipe()
	defer writer.Close()
	ended := make(chan string)
	go func() { ended <- answer(ctx, bufio.NewScanner(silent)) }()
	if _, err := writer.Write([]byte("we")); err != nil { // returns once the prompt reads
		t.Fatal(err)
	}
	cancel()
	if got := <-ended; got != "" {
		t.Errorf("answer %q after the signal", got)
	}
	if got := answer(ctx, bufio.NewScanner(strings.NewReader("i-1\n"))); got != "i-1" {
		t.Errorf("later answer %q", got)
	}
}
