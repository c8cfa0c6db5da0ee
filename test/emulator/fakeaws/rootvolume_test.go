package fakeaws

import (
	"testing"
	"time"
)

func TestReplacedRootVolumesKeepTheirPlace(t *testing.T) {
	inBubble(t, oneGroup(withDesired(2)), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: ReplaceRootVolume, Group: "g", Each: Duration(10 * time.Second)})
		for _, state := range rootVolumeStates {
			pass(time.Second)
			statesAre(t, c, "on its way", map[string]int{"InService": 1, state: 1})
			pass(9 * time.Second)
		}
		statesAre(t, c, "when it is over", map[string]int{"InService": 2})
		if launched := count(s, Launched); launched != 2 {
			t.Errorf("%d instances were launched, want the first 2 only: the others counted all the while", launched)
		}
	})
}

func TestReplacedRootVolumeStaysInLastState(t *testing.T) {
	inBubble(t, oneGroup(withDesired(3)), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: ReplaceRootVolume, Group: "g", Count: 2, Each: Never})
		pass(time.Hour)
		statesAre(t, c, "an hour later", map[string]int{"InService": 1, "RootVolumeReplaced": 2})
		if got := *describe(t, c, "g").DesiredCapacity; got != 3 {
			t.Errorf("desired capacity %d, want 3", got)
		}
	})
}

func TestReplacingInstanceCanBeTerminated(t *testing.T) {
	inBubble(t, oneGroup(withDesired(1)), func(t *testing.T, s *Server, c clients) {
		do(t, s, Deed{Kind: ReplaceRootVolume, Group: "g"})
		if _, err := terminate(t, c, true, describe(t, c, "g").Instances[0].InstanceId); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		statesAre(t, c, "a minute later", map[string]int{})
	})
}
