package awsclient_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

func TestJoinGoesOnAfterBadFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := awsclient.NewBatcher[string, int, int](clock.RealClock{}, time.Second)
		wanted := func(n int) int { return n }
		refused := errors.New("refused")
		if _, err := b.Join("a", func(*int) error { return refused }, wanted); err != refused {
			t.Errorf("error = %v, want the refusal", err)
		}
		for want := range 2 { // each in a batch of its own
			got, err := b.Join("a", func(n *int) error { *n += want; return nil }, wanted)
			if got != want || err != nil {
				t.Errorf("Join = %d, %v, want %d", got, err, want)
			}
		}
	})
}
