package scaleup

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiv1 "k8s.io/api/core/v1"
	provreqv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider"
	"k8s.io/autoscaler/cluster-autoscaler/config"
	"k8s.io/autoscaler/cluster-autoscaler/core/scaleup/orchestrator"
	"k8s.io/autoscaler/cluster-autoscaler/processors/status"
	provreq "k8s.io/autoscaler/cluster-autoscaler/provisioningrequest/orchestrator"
	caerrors "k8s.io/autoscaler/cluster-autoscaler/utils/errors"
)

func TestScaleUpIsRepeatedInAnotherZone(t *testing.T) {
	balanced := func(o *config.AutoscalingOptions) { o.BalanceSimilarNodeGroups = true }
	parallel := func(o *config.AutoscalingOptions) { o.BalanceSimilarNodeGroups, o.ParallelScaleUp = true, true }
	for _, tt := range []struct {
		name         string
		zones        map[string]zone
		options      func(*config.AutoscalingOptions)
		pods         int
		allOrNothing bool
		want         map[string]int // target sizes in the end
		asked        []string       // nil where the order is not given
		result       status.ScaleUpResult
	}{
		{
			name:  "nothing fails",
			zones: map[string]zone{"web/a": {max: 9}, "web/b": {max: 9}}, pods: 2,
			want: map[string]int{"web/a": 2}, asked: []string{"web/a +2"},
		},
		{
			name:  "one zone of two",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 9}}, pods: 2,
			want: map[string]int{"web/b": 2}, asked: []string{"web/a +2", "web/b +2"},
		},
		{
			name:  "two zones of three",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 9, dry: true}, "web/c": {max: 9}}, pods: 2,
			want: map[string]int{"web/c": 2}, asked: []string{"web/a +2", "web/b +2", "web/c +2"},
		},
		{
			name:  "every zone",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 9, dry: true}}, pods: 2,
			want: map[string]int{}, asked: []string{"web/a +2", "web/b +2"}, result: status.ScaleUpNoOptionsAvailable,
		},
		{
			name:  "another group when its zones are used up",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 9, dry: true}, "whole": {max: 9}}, pods: 2,
			want: map[string]int{"whole": 2}, asked: []string{"web/a +2", "web/b +2", "whole +2"},
		},
		{
			name:  "a group that is not unavailable",
			zones: map[string]zone{"web/a": {max: 9, dry: true, open: true}, "web/b": {max: 9}}, pods: 2,
			want: map[string]int{}, asked: []string{"web/a +2"}, result: status.ScaleUpError,
		},
		{
			name:  "some of the nodes came",
			zones: map[string]zone{"web/a": {max: 9, dry: true, partly: 1}, "web/b": {max: 9}}, pods: 2,
			want: map[string]int{"web/a": 1, "web/b": 1}, asked: []string{"web/a +2", "web/b +1"},
		},
		{
			name:  "some of the nodes came, and are enough",
			zones: map[string]zone{"web/a": {max: 9, dry: true, partly: 2}, "web/b": {max: 9}}, pods: 2,
			want: map[string]int{"web/a": 2}, asked: []string{"web/a +2"},
		},
		{
			name:  "some of the nodes came, and no other group is left",
			zones: map[string]zone{"web/a": {max: 9, dry: true, partly: 1}}, pods: 2,
			want: map[string]int{"web/a": 1}, asked: []string{"web/a +2"},
		},
		{
			name:  "some of the nodes came, and another group fails for another reason",
			zones: map[string]zone{"web/a": {max: 9, dry: true, partly: 1}, "web/b": {max: 9, dry: true, open: true}}, pods: 2,
			want: map[string]int{"web/a": 1}, asked: []string{"web/a +2", "web/b +1"},
		},
		{
			name:  "some of the nodes came, and all nodes are limited",
			zones: map[string]zone{"web/a": {max: 9, dry: true, partly: 2}, "web/b": {max: 9}}, pods: 9,
			options: func(o *config.AutoscalingOptions) { o.MaxNodesTotal = 6 },
			want:    map[string]int{"web/a": 2, "web/b": 4}, asked: []string{"web/a +6", "web/b +4"},
		},
		{
			name:  "balanced, none of them came",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 9, dry: true}}, options: parallel, pods: 4,
			want: map[string]int{}, result: status.ScaleUpNoOptionsAvailable,
		},
		{
			name:  "balanced over what is left",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 1}, "web/c": {max: 1}}, options: balanced, pods: 2,
			want: map[string]int{"web/b": 1, "web/c": 1},
		},
		{
			name:  "balanced, the nodes of another zone came",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 9}, "web/c": {max: 9}}, options: parallel, pods: 3,
			want: map[string]int{"web/b": 2, "web/c": 1},
		},
		{
			name:  "all or nothing, and all fit elsewhere",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 3}}, pods: 3, allOrNothing: true,
			want: map[string]int{"web/b": 3}, asked: []string{"web/a +3", "web/b +3"},
		},
		{
			name:  "all or nothing, and some of the nodes came",
			zones: map[string]zone{"web/a": {max: 9, dry: true, partly: 1}, "web/b": {max: 9}}, pods: 3, allOrNothing: true,
			want: map[string]int{"web/a": 1}, asked: []string{"web/a +3"}, result: status.ScaleUpError,
		},
		{
			name:  "all or nothing, and only some fit elsewhere",
			zones: map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 2}}, pods: 3, allOrNothing: true,
			want: map[string]int{}, asked: []string{"web/a +3"}, result: status.ScaleUpNoOptionsAvailable,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var options []func(*config.AutoscalingOptions)
			if tt.options != nil {
				options = append(options, tt.options)
			}
			w := newWorld(t, tt.zones, options...)
			o := NewOtherZone(orchestrator.New(), w.isUnavailable)
			w.initialize(o)
			infos := maps.Clone(w.nodeInfos)
			result, err := o.ScaleUp(filling(tt.pods), nil, nil, w.nodeInfos, tt.allOrNothing)
			if result.Result != tt.result || (err != nil) != (tt.result == status.ScaleUpError) {
				t.Errorf("result = %v, error %v, want %v", result.Result, err, tt.result)
			}
			if diff := cmp.Diff(tt.want, w.sizes()); diff != "" {
				t.Errorf("target sizes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.asked, w.asked); tt.asked != nil && diff != "" {
				t.Errorf("launches (-want +got):\n%s", diff)
			}
			if !maps.Equal(infos, w.nodeInfos) {
				t.Error("the templates are not those given")
			}
			if left, err := w.ctx.ClusterSnapshot.ListNodeInfos(); err != nil || len(left) != 0 {
				t.Errorf("%d nodes in the snapshot, error %v, want it as before", len(left), err)
			}
		})
	}
}

// failing is a scale-up that fails in the groups that next returns, until next returns none.
func (w *world) failing(tries *int, next func(try int) []string) scripted {
	return scripted{orchestrator.New(), func() (*status.ScaleUpStatus, caerrors.AutoscalerError) {
		*tries++
		var groups []cloudprovider.NodeGroup
		for _, id := range next(*tries) {
			groups = append(groups, w.provider.GetNodeGroup(id))
		}
		if len(groups) == 0 {
			return &status.ScaleUpStatus{Result: status.ScaleUpSuccessful}, nil
		}
		return status.UpdateScaleUpError(&status.ScaleUpStatus{FailedResizeNodeGroups: groups},
			caerrors.NewAutoscalerError(caerrors.CloudProviderError, "no capacity"))
	}}
}

func TestRepetitionsEnd(t *testing.T) {
	zones := make(map[string]zone)
	for i := range 3 * maxRepetitions {
		zones[fmt.Sprint("web/", i)] = zone{max: 9}
	}
	for _, tt := range []struct {
		name string
		next func(w *world, try int) []string
		want int // tries
	}{
		{"the same group fails again", func(_ *world, try int) []string { return []string{"web/0"} }, 2},
		{"a new one fails each time", func(_ *world, try int) []string { return []string{fmt.Sprint("web/", try)} }, 1 + maxRepetitions},
		{"a known one fails beside a new one", func(_ *world, try int) []string {
			return map[int][]string{1: {"web/0"}, 2: {"web/1", "web/0"}, 3: {"web/0", "web/1"}}[try]
		}, 3},
		{"none is left", func(_ *world, try int) []string { return map[int][]string{1: {"web/0"}}[try] }, 2},
		{"an available group fails beside an unavailable one", func(w *world, _ int) []string {
			w.unavailable["web/1"] = false
			return []string{"web/0", "web/1"}
		}, 1},
		{"another has grown", func(w *world, _ int) []string { w.resize("web/9", 1); return []string{"web/0"} }, 1},
		{"another has grown while one has shrunk", func(w *world, _ int) []string {
			w.resize("web/8", -1)
			w.resize("web/9", 1)
			return []string{"web/0"}
		}, 1},
		{"one has shrunk", func(w *world, try int) []string {
			w.resize("web/8", -1)
			return map[int][]string{1: {"web/0"}}[try]
		}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, zones)
			for id := range zones {
				w.unavailable[id] = true
				w.resize(id, 5)
			}
			tries := 0
			o := NewOtherZone(w.failing(&tries, func(try int) []string { return tt.next(w, try) }), w.isUnavailable)
			w.initialize(o)
			o.ScaleUp(filling(1), nil, nil, w.nodeInfos, false)
			if tries != tt.want {
				t.Errorf("%d tries, want %d", tries, tt.want)
			}
		})
	}
}

func TestFailureOutsideGroupsIsNotRepeated(t *testing.T) {
	w := newWorld(t, map[string]zone{"web/a": {max: 9}})
	for _, result := range []*status.ScaleUpStatus{nil, {}} {
		tries := 0
		o := NewOtherZone(scripted{orchestrator.New(), func() (*status.ScaleUpStatus, caerrors.AutoscalerError) {
			tries++
			return result, caerrors.NewAutoscalerError(caerrors.InternalError, "no templates")
		}}, func(string) bool { return true })
		w.initialize(o)
		if _, err := o.ScaleUp(filling(1), nil, nil, w.nodeInfos, false); err == nil || tries != 1 {
			t.Errorf("%d tries, error %v, want one and an error", tries, err)
		}
	}
}

func TestGroupOfUnknownSizeMayHaveGrown(t *testing.T) {
	w := newWorld(t, map[string]zone{"web/a": {max: 9}})
	w.unavailable["web/a"] = true
	tries := 0
	o := NewOtherZone(w.failing(&tries, func(int) []string { return []string{"web/a"} }), w.isUnavailable)
	w.initialize(o)
	w.provider.InsertNodeGroup(sizeless{w.provider.GetNodeGroup("web/a")})
	if _, err := o.ScaleUp(filling(1), nil, nil, w.nodeInfos, false); err == nil || tries != 1 {
		t.Errorf("%d tries, error %v, want one and an error", tries, err)
	}
}

// sizeless is a node group of unknown size.
type sizeless struct{ cloudprovider.NodeGroup }

func (sizeless) Id() string { return "sizeless" }

func (sizeless) TargetSize() (int, error) { return 0, errors.New("not read yet") }

func TestRepetitionServesPodsOfSameKind(t *testing.T) {
	w := newWorld(t, map[string]zone{"web/a": {max: 9, dry: true}, "web/b": {max: 9}})
	requests := 0
	o := NewOtherZone(provreq.NewWrapperOrchestrator(scripted{orchestrator.New(), func() (*status.ScaleUpStatus, caerrors.AutoscalerError) {
		requests++
		return &status.ScaleUpStatus{Result: status.ScaleUpNotTried}, nil
	}}), w.isUnavailable)
	w.initialize(o)
	all := filling(3)
	all[0].Annotations = map[string]string{provreqv1.ProvisioningRequestPodAnnotationKey: "training"}
	scaleUp := func(pods []*apiv1.Pod) {
		if _, err := o.ScaleUp(pods, nil, nil, w.nodeInfos, false); err != nil {
			t.Error(err)
		}
	}
	scaleUp(all)
	if diff := cmp.Diff(map[string]int{"web/b": 2}, w.sizes()); diff != "" || requests != 0 {
		t.Errorf("requests tried %d times, target sizes (-want +got):\n%s", requests, diff)
	}
	scaleUp(all)
	if requests != 1 {
		t.Errorf("requests tried %d times by their turn, want once", requests)
	}
}

func TestMinimumSizesAreTriedOnce(t *testing.T) {
	w := newWorld(t, map[string]zone{"web/a": {min: 1, max: 9, dry: true}, "web/b": {max: 9}})
	o := NewOtherZone(orchestrator.New(), w.isUnavailable)
	w.initialize(o)
	if _, err := o.ScaleUpToNodeGroupMinSize(nil, w.nodeInfos); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff([]string{"web/a +1"}, w.asked); diff != "" {
		t.Errorf("launches (-want +got):\n%s", diff)
	}
}

func TestCoresErrorComesBackWithoutInitialize(t *testing.T) {
	if _, err := NewOtherZone(orchestrator.New(), nil).ScaleUp(filling(1), nil, nil, nil, false); err == nil {
		t.Error("no error")
	}
}
