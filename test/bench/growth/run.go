package growth

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	// reading is the time between two readings of all groups. A bench cannot wait for many of the usual minute.
	reading = time.Second
	// settling is the time from the first loop until the autoscaler counts as idle.
	settling = 3 * time.Second
	// starting bounds the first loop.
	starting = 3 * time.Minute
	// looks is how often a page is read. The fastest counts.
	looks = 5
)

// flags are those of a run. A loop follows the one before at once, so that a profile has many.
var flags = []string{
	"--cloud-provider=aws", "--node-group-auto-discovery=asg:tag=" + enabledTag, "--expander=least-cost", "--scan-interval=10ms",
	"--asg-refresh-interval=" + reading.String(), "--profiling", "--leader-elect=false", "--write-status-configmap=false", "--v=1",
}

// A figure is one value of a run.
type figure struct {
	what  string
	owner string // whose part it is of the figure without an owner
	unit  string
	value float64
	floor float64 // a profile has too few samples of less
}

// A run is one autoscaler in one world.
type run struct {
	*world
	*scenario.Autoscaler
	axis    axis
	window  time.Duration // of the processor profile
	dir     string
	figures []figure
}

func (r *run) add(name, unit string, value float64) {
	r.figures = append(r.figures, figure{what: name, unit: unit, value: value})
}

// measure runs the autoscaler in a world of the size and returns its figures.
func measure(ctx context.Context, binary string, a axis, n int, window time.Duration, dir string) (_ []figure, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	w, err := newWorld(ctx, a.at(n), dir)
	if w != nil {
		defer w.close()
	}
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "autoscaler.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	environment := []string{"HOME=" + dir, "AWS_REGION=" + region, "AWS_ENDPOINT_URL=" + w.aws.URL(), "AWS_ACCESS_KEY_ID=growth",
		"AWS_SECRET_ACCESS_KEY=secret", "AWS_EC2_METADATA_DISABLED=true"}
	r := &run{world: w, axis: a, window: window, dir: dir}
	began := time.Now()
	if r.Autoscaler, err = scenario.RunAutoscaler(ctx, binary, append(slices.Clone(flags), "--kubeconfig="+w.kubeconfig), environment, log); err != nil {
		return nil, err
	}
	defer r.Kill()
	if a.once {
		err = r.wholeStart(ctx, began)
	} else {
		err = r.idle(ctx, began)
	}
	return r.figures, err
}

// idle measures the start, and then what loops take while nothing changes.
func (r *run) idle(ctx context.Context, began time.Time) error {
	if err := r.firstLoop(ctx, began); err != nil {
		return err
	}
	if err := harness.Rest(ctx, settling, r.Autoscaler); err != nil {
		return err
	}
	r.startCalls()
	loops, calls, start := r.loops(ctx), len(r.aws.CallLog()), time.Now()
	raw, err := r.processor(ctx)
	if err != nil {
		return err
	}
	ran, took := r.loops(ctx)-loops, time.Since(start)
	if ran <= 0 {
		return fmt.Errorf("no loop within %s", took)
	}
	r.add("AWS calls for a reading", "", math.Round(float64(len(r.aws.CallLog())-calls)*reading.Seconds()/took.Seconds()))
	p, err := r.split(ctx, raw, "cpu", "ms")
	if err != nil {
		return err
	}
	r.perOwner("a loop", "ms", p.inLoop, ran)
	r.perOwner("a second beside the loop", "ms", p.beside, took.Seconds())
	return r.memoryAndPages(ctx)
}

// wholeStart measures the start until all pods that wait have nodes under way, and all other loops that follow in the window.
func (r *run) wholeStart(ctx context.Context, began time.Time) error {
	raw, err := r.processor(ctx)
	if err != nil {
		return err
	}
	p, err := r.split(ctx, raw, "cpu", "ms")
	if err != nil {
		return err
	}
	if err := r.firstLoop(ctx, began); err != nil {
		return err
	}
	r.startCalls()
	instances := 0
	for _, g := range r.aws.Groups() {
		instances += len(g.Instances)
	}
	r.add("nodes", "", float64(instances))
	r.perOwner("all loops", "ms", p.inLoop, 1)
	return r.memoryAndPages(ctx)
}

// firstLoop waits for the end of the first loop.
func (r *run) firstLoop(ctx context.Context, began time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, starting, errors.New("the first loop takes too long"))
	defer cancel()
	err := harness.Until(ctx, 20*time.Millisecond, func() (bool, error) { return r.loops(ctx) > 0, nil }, r.Autoscaler)
	if err == nil && !r.axis.once {
		r.add("start to end of first loop", "s", time.Since(began).Seconds())
	}
	return err
}

// startCalls adds the calls until now without those of readings after the first.
func (r *run) startCalls() {
	first := map[string]bool{}
	n := 0
	for _, call := range r.aws.CallLog() {
		page := call.Params.Encode()
		if call.Action == "DescribeAutoScalingGroups" && first[page] {
			continue
		}
		first[page] = true
		n++
	}
	r.add("AWS calls at the start", "", float64(n))
}

// processor takes a profile of the processor over the window.
func (r *run) processor(ctx context.Context) (string, error) {
	return r.Get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(r.window.Seconds())))
}

// memoryAndPages measures the live heap, resident memory, and how long the pages of the record take.
func (r *run) memoryAndPages(ctx context.Context) error {
	raw, err := r.Get(ctx, "/debug/pprof/heap?gc=1")
	if err != nil {
		return err
	}
	p, err := r.split(ctx, raw, "inuse_space", "kB")
	if err != nil {
		return err
	}
	r.perOwner("live heap", "MiB", p.all(), 1024)
	metrics, err := r.Metrics(ctx)
	if err != nil {
		return err
	}
	r.add("resident memory", "MiB", scenario.MetricSum(metrics, "process_resident_memory_bytes", nil)/(1<<20))
	for _, path := range []string{"/status.json", "/status"} {
		fastest, bytes := time.Hour, 0
		for range looks {
			before := time.Now()
			page, err := r.Get(ctx, path)
			if err != nil {
				return err
			}
			fastest, bytes = min(fastest, time.Since(before)), len(page)
		}
		r.add(path, "ms", fastest.Seconds()*1000)
		r.add(path+" size", "KiB", float64(bytes)/1024)
	}
	return nil
}

// loops is how many loops have ended.
func (r *run) loops(ctx context.Context) float64 {
	metrics, err := r.Metrics(ctx)
	if err != nil {
		return 0
	}
	return scenario.MetricSum(metrics, "cluster_autoscaler_function_duration_seconds", map[string]string{"function": "main"})
}
