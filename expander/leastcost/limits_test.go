package leastcost

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiv1 "k8s.io/api/core/v1"
	"k8s.io/autoscaler/cluster-autoscaler/expander"
	"k8s.io/autoscaler/cluster-autoscaler/simulator/framework"
)

// claiming gives each pod a claim of its own.
func claiming(pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		pod.Spec.ResourceClaims = []apiv1.PodResourceClaim{{Name: "gpu", ResourceClaimTemplateName: new("one-gpu")}}
	})
}

// attaching gives each pod volumes of its own.
func attaching(count int, pods []*apiv1.Pod) []*apiv1.Pod {
	return each(pods, func(_ int, pod *apiv1.Pod) {
		for v := range count {
			pod.Spec.Volumes = append(pod.Spec.Volumes, apiv1.Volume{Name: fmt.Sprint("data-", v), VolumeSource: apiv1.VolumeSource{
				PersistentVolumeClaim: &apiv1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprintf("%s-%d", pod.Name, v)}}})
		}
	})
}

// Only the core knows what devices a claim gets, and how many volumes a node can attach. By CPU and memory alone each row's pods have
// room on fewer nodes.
func TestPlansKeepInferredLimits(t *testing.T) {
	gpus := claiming(replicas("gpu", 40, "1", "1Gi"))
	more := claiming(replicas("more", 40, "1", "1Gi"))
	var jobs []*apiv1.Pod // each of its own owner and size
	for i := range 40 {
		jobs = append(jobs, claiming(replicas(fmt.Sprint("job-", i), 1, fmt.Sprintf("%dm", 1000+i), "1Gi"))...)
	}
	disks := attaching(1, replicas("disk", 50, "100m", "100Mi"))
	pairs := attaching(2, replicas("pair", 24, "100m", "100Mi"))
	quarters, bits := attaching(1, replicas("quarter", 8, "3990m", "1Gi")), attaching(1, replicas("bit", 40, "10m", "1Mi"))
	web := replicas("web", 400, "1500m", "1Gi")
	large, small, disk := template("96", "1Ti"), template("4", "16Gi"), template("16", "64Gi")
	for _, tt := range []struct {
		name      string
		options   []expander.Option
		templates map[string]*framework.NodeInfo
		prices    flat
		want      []string
	}{
		{
			name:      "eight devices a node",
			options:   []expander.Option{option("eight", 5, gpus)},
			templates: map[string]*framework.NodeInfo{"eight": large},
			prices:    flat{"eight": 10},
			want:      []string{"eight: 5 for 40"},
		},
		{
			name:      "one device a node is cheaper than eight",
			options:   []expander.Option{option("eight", 5, gpus), option("one", 40, gpus)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small},
			prices:    flat{"eight": 10, "one": 1},
			want:      []string{"one: 40 for 40"},
		},
		{
			name:      "eight devices a node are cheaper than one",
			options:   []expander.Option{option("eight", 5, gpus), option("one", 40, gpus)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small},
			prices:    flat{"eight": 7, "one": 1},
			want:      []string{"eight: 5 for 40"},
		},
		{
			name:      "pods of many owners share one limit",
			options:   []expander.Option{option("eight", 5, jobs), option("one", 40, jobs)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small},
			prices:    flat{"eight": 10, "one": 1},
			want:      []string{"one: 40 for 40"},
		},
		{
			name:      "25 volumes a node",
			options:   []expander.Option{option("disk", 2, disks)},
			templates: map[string]*framework.NodeInfo{"disk": disk},
			prices:    flat{"disk": 1},
			want:      []string{"disk: 2 for 50"},
		},
		{
			name:      "12 pods of two volumes each",
			options:   []expander.Option{option("disk", 2, pairs)},
			templates: map[string]*framework.NodeInfo{"disk": disk},
			prices:    flat{"disk": 1},
			want:      []string{"disk: 2 for 24"},
		},
		{
			// The core puts the web pods on seven nodes, and then eight claims on the last of these and on each of nine more. All of them
			// have room on ten.
			name:      "other pods fill nodes, too",
			options:   []expander.Option{option("eight", 16, web, gpus, more), option("one", 80, gpus, more)},
			templates: map[string]*framework.NodeInfo{"eight": large, "one": small},
			prices:    flat{"eight": 7, "one": 1},
			want:      []string{"eight: 10 for 480"},
		},
		{
			// CPU alone fills the core's three nodes: none of them has all the small pods, but one can, beside three large ones.
			name:      "no limit where CPU fills the nodes",
			options:   []expander.Option{option("disk", 3, quarters, bits), option("small", 8, quarters)},
			templates: map[string]*framework.NodeInfo{"disk": disk, "small": small},
			prices:    flat{"disk": 1, "small": 0.1},
			want:      []string{"disk: 1 for 43"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			best := newFilter(tt.prices, nil).BestOptions(tt.options, tt.templates)
			if diff := cmp.Diff(tt.want, summary(best)); diff != "" {
				t.Errorf("best options (-want +got):\n%s", diff)
			}
		})
	}
}

// Without time to look further, the mean of the core's nodes counts.
func TestLimitsHoldWithoutTime(t *testing.T) {
	web, gpus := replicas("web", 400, "1500m", "1Gi"), claiming(replicas("gpu", 80, "1", "1Gi"))
	options := []expander.Option{option("eight", 16, web, gpus)}
	candidates := newFilter(flat{"eight": 1}, nil).candidates(options, map[string]*framework.NodeInfo{"eight": template("96", "1Ti")})
	for _, tt := range []struct {
		timer *timer
		want  int64
	}{{unhurried(), 8}, {&timer{clock: &ticking{}}, 5}} {
		d := newDemand(candidates, nil)
		d.classify(candidates, tt.timer)
		if at := slices.Index(d.dimensions.names, claims); at < 0 || d.offered[0][at] != tt.want {
			t.Errorf("a node offers %v of %v, want %d claims", d.offered[0], d.dimensions.names, tt.want)
		}
	}
}

func TestNodesForCountsNodes(t *testing.T) {
	one := func(cpu int64, count, perNode int) lot {
		return lot{request: amounts{1, cpu}, count: count, perNode: perNode}
	}
	for _, tt := range []struct {
		name string
		lots []lot
		want int
	}{
		{"none", nil, 0},
		{"two on each", []lot{one(4, 5, 99)}, 3},
		{"small ones beside large ones", []lot{one(6, 3, 99), one(2, 7, 99)}, 4},
		{"one on each", []lot{one(1, 3, 1), one(1, 6, 99)}, 3},
		{"by the count of pods", []lot{one(0, 11, 99)}, 3},
		{"larger than a node", []lot{one(11, 2, 99), one(1, 1, 99)}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nodesFor(tt.lots, amounts{5, 10}); got != tt.want {
				t.Errorf("%d nodes, want %d", got, tt.want)
			}
		})
	}
}
