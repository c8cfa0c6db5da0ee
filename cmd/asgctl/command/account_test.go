package command

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The signal ends the prompt. A prompt that comes after it still waits for the operator.
func TestSignalEndsThePrompt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	assert.Equal(t, "web", answer(ctx, bufio.NewScanner(strings.NewReader(" web \n"))), "answer")
	silent, writer := io.Pipe()
	defer writer.Close()
	ended := make(chan string)
	go func() { ended <- answer(ctx, bufio.NewScanner(silent)) }()
	if _, err := writer.Write([]byte("we")); err != nil { // returns once the prompt reads
		t.Fatal(err)
	}
	cancel()
	assert.Equal(t, "", <-ended, "answer after the signal")
	assert.Equal(t, "i-1", answer(ctx, bufio.NewScanner(strings.NewReader("i-1\n"))), "later answer")
}
