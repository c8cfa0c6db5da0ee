package scenario

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEventually(t *testing.T) {
	for _, tt := range []struct {
		name    string
		holdsAt int // the look at which it holds, 0 for never
		err     error
		want    string // in the error, empty for success
	}{
		{name: "holds at once", holdsAt: 1},
		{name: "holds later", holdsAt: 20},
		{name: "never holds", want: "waited 5s for the thing; saw less last"},
		{name: "cannot look", err: errors.New("no server"), want: "no server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				looks := 0
				err := eventually(t.Context(), 5*time.Second, "the thing", func(context.Context) (bool, string, error) {
					looks++
					return looks == tt.holdsAt, "less", tt.err
				})
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("eventually = %v, want %q", err, tt.want)
				}
			})
		})
	}
}
