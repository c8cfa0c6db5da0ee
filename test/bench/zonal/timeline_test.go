package zonal

import (
	"testing"
)

const (
	zoneA = "us-east-1a"
	zoneB = "us-east-1b"
	zoneC = "us-east-1c"
)

func TestWrongZoneIsOneWithoutWaitingPod(t *testing.T) {
	for _, tt := range []struct {
		name      string
		pods      []pod
		instances []instance
		want      int
	}{
		{
			name:      "one for each zone that pods are bound to",
			pods:      []pod{{Zone: zoneA}, {Zone: zoneB}},
			instances: []instance{{Zone: zoneA, Launched: 10}, {Zone: zoneB, Launched: 11}},
		},
		{
			name:      "nobody is bound to the zone",
			pods:      []pod{{Zone: zoneA}},
			instances: []instance{{Zone: zoneB, Launched: 10}},
			want:      1,
		},
		{
			name:      "two for one pod",
			pods:      []pod{{Zone: zoneA}},
			instances: []instance{{Zone: zoneA, Launched: 10}, {Zone: zoneA, Launched: 10}},
			want:      1,
		},
		{
			name:      "the pod runs already",
			pods:      []pod{{Zone: zoneA, Node: "n", Running: 40}},
			instances: []instance{{Zone: zoneA, Node: "n", Launched: 10}, {Zone: zoneA, Launched: 41}},
			want:      1,
		},
		{
			name:      "the pod comes later",
			pods:      []pod{{Zone: zoneA, Created: 11}},
			instances: []instance{{Zone: zoneA, Launched: 10}},
			want:      1,
		},
		{
			name:      "the pod is gone",
			pods:      []pod{{Zone: zoneA, Gone: 9}},
			instances: []instance{{Zone: zoneA, Launched: 10}},
			want:      1,
		},
		{
			name:      "pods for anywhere can use any zone, one instance each",
			pods:      []pod{{}, {}},
			instances: []instance{{Zone: zoneB, Launched: 10}, {Zone: zoneB, Launched: 10}, {Zone: zoneC, Launched: 12}},
			want:      1,
		},
		{
			name:      "an idle instance is for the pod bound to its zone, not for the one that could go anywhere",
			pods:      []pod{{Zone: zoneA}, {}},
			instances: []instance{{Zone: zoneA, Launched: 10}, {Zone: zoneC, Launched: 11}},
		},
		{
			name: "a pod for anywhere took the instance that was meant for a bound one",
			pods: []pod{{Zone: zoneA}, {Node: "n", Running: 40}},
			instances: []instance{{Zone: zoneA, Node: "n", Launched: 10}, {Zone: zoneC, Launched: 10},
				{Zone: zoneA, Launched: 41}},
		},
		{
			name:      "an instance that is on its way out serves nobody",
			pods:      []pod{{Zone: zoneA, Created: 20}},
			instances: []instance{{Zone: zoneA, Launched: 1, Released: 19}, {Zone: zoneA, Launched: 21}},
			want:      1, // the first: nobody was there yet
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (timeline{Pods: tt.pods, Instances: tt.instances}).wrongZone(); got != tt.want {
				t.Errorf("%d in a wrong zone, want %d", got, tt.want)
			}
		})
	}
}

func TestInstanceIsIdleWhileReadyWithoutPods(t *testing.T) {
	const end = 300
	for _, tt := range []struct {
		name     string
		instance instance
		pods     []pod
		want     seconds
	}{
		{name: "never Ready", instance: instance{Launched: 10}},
		{name: "no pod, to the end", instance: instance{Launched: 10, Ready: 40}, want: 260},
		{name: "no pod, until it went", instance: instance{Launched: 10, Ready: 40, Released: 99, Gone: 100}, want: 60},
		{name: "until its pod runs", instance: instance{Ready: 40}, pods: []pod{{Running: 42}}, want: 2},
		{name: "from when its pod went", instance: instance{Ready: 40, Gone: 160}, pods: []pod{{Running: 40, Gone: 100}}, want: 60},
		{name: "between two pods", instance: instance{Ready: 40}, pods: []pod{{Running: 100}, {Running: 41, Gone: 90}}, want: 11},
		{name: "pods side by side", instance: instance{Ready: 40, Gone: 110}, pods: []pod{{Running: 40, Gone: 100}, {Running: 50, Gone: 60}}, want: 10},
		{name: "a pod ran before the node was seen to be Ready", instance: instance{Ready: 40, Gone: 60}, pods: []pod{{Running: 39, Gone: 50}}, want: 10},
		{name: "a pod that outlives its instance", instance: instance{Ready: 40, Gone: 60}, pods: []pod{{Running: 50, Gone: 70}}, want: 10},
		{name: "pods of other nodes", instance: instance{Ready: 40, Gone: 60}, pods: []pod{{Node: "other", Running: 40}}, want: 20},
		{name: "a pod that never ran", instance: instance{Ready: 40, Gone: 60}, pods: []pod{{Created: 5}}, want: 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.instance.Node = "n"
			for i := range tt.pods {
				if tt.pods[i].Node == "" {
					tt.pods[i].Node = "n"
				}
			}
			if got := (timeline{End: end, Pods: tt.pods}).idle(tt.instance); got != tt.want {
				t.Errorf("idle for %v s, want %v", got, tt.want)
			}
		})
	}
}

func TestPodEndsWithItsInstance(t *testing.T) {
	line := timeline{End: 100, Instances: []instance{{Node: "killed", Released: 50}, {Node: "drained", Released: 50}, {Node: "there"}}, Pods: []pod{
		{Node: "killed", Running: 10}, {Node: "killed", Running: 10, Gone: 90}, {Node: "drained", Running: 10, Gone: 49}, {Node: "there", Running: 10}, {},
	}}
	if before, after, lost := line.runningAt(40), line.runningAt(line.End), line.lost(); before != 4 || after != 1 || lost != 2 {
		t.Errorf("%d run before, %d after, %d lost, want 4, 1 and 2", before, after, lost)
	}
}
