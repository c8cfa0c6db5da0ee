package status

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/processors/nodegroupset"
	scaleup "k8s.io/autoscaler/cluster-autoscaler/processors/status"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsworld"
)

func TestEventNamesGroupsThatGrewForThePod(t *testing.T) {
	w := newZonalWorld(t, awsworld.New(t, nil, awsworld.Group("api", "m5.large", 0, 0, 5, nil), awsworld.Group("web", "m5.large", 0, 0, 5, nil)))
	grew := func(group, pod string) *scaleup.ScaleUpStatus {
		return &scaleup.ScaleUpStatus{PodsTriggeredScaleUp: []*corev1.Pod{pending(pod, "1", nil)},
			ScaleUpInfos: []nodegroupset.ScaleUpInfo{{Group: w.NodeGroup(group), NewSize: 1, MaxSize: 5}}}
	}
	parts := []*scaleup.ScaleUpStatus{grew("api", "one"), grew("web", "two")}
	by := ByRaise{&scaleup.EventingScaleUpStatusProcessor{}, func(*scaleup.ScaleUpStatus) []*scaleup.ScaleUpStatus { return parts }}
	by.Process(w.ctx, &scaleup.ScaleUpStatus{})
	events := w.published()
	slices.Sort(events)
	if len(events) != 2 || !strings.Contains(events[0], "{api 0->1 (max: 5)}") || !strings.Contains(events[1], "{web 0->1 (max: 5)}") {
		t.Errorf("events %q, want one with each group", events)
	}
}
