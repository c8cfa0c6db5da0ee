package asg_test

import (
	"testing"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/stretchr/testify/assert"
)

const readCall = "DescribeAutoScalingGroups"

// ahead has the Cache read ahead, and expects that many calls.
func (w *world) ahead(calls int) {
	w.t.Helper()
	before := w.aws.Calls()[readCall]
	w.cache.ReadAhead()
	time.Sleep(50 * time.Millisecond)
	assert.Equal(w.t, calls, w.aws.Calls()[readCall]-before, "readings ahead")
}

func TestLaunchNeedsNoReadingAfterOneAhead(t *testing.T) {
	for _, tt := range []struct {
		name     string
		mode     asg.LaunchMode // LaunchAuto by default
		follows  bool           // a killed leader
		later    time.Duration
		between  func(*world)
		ahead    int
		readings int // by the increase
		want     int
	}{
		{name: "at once", ahead: 1, want: 3},
		{name: "others ask meanwhile", ahead: 1, between: func(w *world) { w.setDesired(4) }, want: 7},
		{name: "after a launch of our own", ahead: 1, between: func(w *world) { w.increase(1) }, readings: 1, want: 4},
		{name: "later", ahead: 1, later: time.Second, readings: 1, want: 3},
		{name: "after a killed leader", ahead: 1, follows: true, readings: 1, want: 3},
		{name: "desired capacity", mode: asg.LaunchDesiredCapacity, between: func(w *world) { w.setDesired(4) }, readings: 2, want: 7}, // before and after
	} {
		t.Run(tt.name, inBubble(having(scalingGroup("a", 0, 0, 10)), func(o *asg.Options) {
			o.NoPredecessor, o.LaunchMode, o.MotionInterval = !tt.follows, tt.mode, time.Hour
		}, func(w *world) {
			time.Sleep(30 * time.Second) // a killed leader's instances may still appear, and no call of it lasts
			w.ahead(tt.ahead)
			if tt.between != nil {
				tt.between(w)
			}
			time.Sleep(tt.later)
			before := w.aws.Calls()[readCall]
			w.increase(3)
			assert.Equal(t, [2]int{tt.readings, tt.want}, [2]int{w.aws.Calls()[readCall] - before, w.desired("a")}, "readings, and desired capacity")
		}))
	}
}

func TestReadingsAheadAreFew(t *testing.T) {
	inBubble(having(scalingGroup("a", 0, 0, 10)), nil, func(w *world) {
		w.ahead(1)
		w.ahead(0) // a second has not passed
		time.Sleep(time.Second)
		w.ahead(1)
	})(t)
}
