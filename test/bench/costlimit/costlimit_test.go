package costlimit

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// recorder is a test that counts its errors.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }

var sink []byte

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func()
		want int
	}{
		{name: "cheap", do: func() { sink = make([]byte, mostBytes/2) }},
		{name: "memory", do: func() {
			for range 3 {
				sink = make([]byte, mostBytes/2)
			}
		}, want: 1},
		{name: "time", do: func() {
			for start := processorTime(); processorTime()-start <= guard; {
			}
		}, want: 1},
	} {
		r := &recorder{TB: t}
		Check(r, tt.do)
		assert.Equalf(t, tt.want, r.errors, "%s: errors", tt.name)
	}
}
