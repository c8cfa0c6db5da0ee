package day

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/mix"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/cost/wholeway"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/karpenter"
	lab "github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

const (
	// The pods of midnight must run within preparing.
	preparing = 5 * time.Minute
	// tick is the time between two looks at the bill.
	tick  = time.Second
	pause = 100 * time.Millisecond
)

// A run is one contestant with one mix.
type run struct {
	*bench
	*load
	contestant
	speed
	dir     string
	env     *lab.Env
	real    *mix.Mix          // with the nodes that really register
	pods    *harness.Record   // of the load
	process harness.Process   // of the contestant
	claims  *karpenter.Claims // nil for a Cluster Autoscaler
	prices  map[string]float64
	begin   time.Time // of the day
	samples []sample
}

// A sample is one look.
type sample struct {
	bill    float64        // per hour
	pods    map[string]int // that run or wait, by workload
	running int
}

// run runs a contestant through the day, and fills the report.
func (b *bench) run(ctx context.Context, l *load, c contestant, dir string, into *runReport) error {
	r := &run{bench: b, load: l, contestant: c, speed: speedOf(b.minutes), dir: dir, prices: map[string]float64{}}
	for _, g := range l.mix.Groups {
		r.prices[g.Name] = g.PerHour
	}
	err := r.day(ctx)
	if err == nil {
		r.figures(into)
	}
	ended := r.close()
	if err == nil {
		r.bounds(into)
	}
	return errors.Join(err, ended)
}

func (r *run) close() error {
	if r.pods != nil {
		r.pods.Close()
	}
	if r.process != nil {
		r.process.Kill()
	}
	if r.env == nil {
		return nil
	}
	return r.env.Close()
}

// day starts everything, waits until the pods of midnight run, and then lets the day go by.
func (r *run) day(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	if r.env, err = lab.Start(ctx, lab.Options{Dir: r.dir, Binary: r.ours, Progress: r.progress, Crowded: true}); err != nil {
		return err
	}
	client := r.env.Cluster.Client()
	if err := wholeway.Prepare(ctx, client, r.mix); err != nil {
		return err
	}
	if err := r.env.StartAWS(ctx, r.account()); err != nil {
		return err
	}
	if r.real, err = wholeway.Registered(r.mix, r.env.AWS); err != nil {
		return err
	}
	if r.pods, err = harness.RecordPods(ctx, client); err != nil {
		return err
	}
	if err := r.launch(ctx); err != nil {
		return err
	}
	changes := r.changes
	for len(changes) > 0 && changes[0].at == 0 {
		if err := r.apply(ctx, changes[0]); err != nil {
			return err
		}
		changes = changes[1:]
	}
	if err := r.midnight(ctx); err != nil {
		return err
	}
	return r.hours(ctx, changes)
}

// account is the account of the mix, with the times of the day.
func (r *run) account() fakeaws.Config {
	config := wholeway.Account(r.mix)
	config.Latency = fakeaws.Duration(r.of(100*time.Millisecond, 5*time.Millisecond))
	config.Delays = fakeaws.Delays{
		Synchronous: fakeaws.Duration(r.of(time.Second, time.Millisecond)), Listed: fakeaws.Duration(r.of(3*time.Second, time.Millisecond)),
		InService: fakeaws.Duration(r.boot() / 2), Terminate: fakeaws.Duration(r.of(time.Minute, time.Millisecond)), GPU: fakeaws.Duration(time.Millisecond),
	}
	for n := range config.AutoScalingGroups {
		node := &config.AutoScalingGroups[n].NodeConfig
		node.RegisterAfter, node.ReadyAfter, node.ReadyJitter, node.GPUAfterReady = fakeaws.Duration(r.boot()), 0, 0, fakeaws.Duration(time.Millisecond)
	}
	return config
}

// launch starts the contestant.
func (r *run) launch(ctx context.Context) (err error) {
	if r.program == karpenterProgram {
		return r.launchKarpenter(ctx)
	}
	side, flags := r.env, append([]string{"--expander=least-waste"}, r.speed.flags(r.program)...)
	if r.program == stockProgram {
		if side, err = r.env.StartStock(ctx); err != nil {
			return err
		}
	} else {
		if err := r.env.GrantOptional(ctx); err != nil {
			return err
		}
		prices, err := wholeway.PriceFile(r.mix)
		if err != nil {
			return err
		}
		path := filepath.Join(r.dir, "prices.csv")
		if err := os.WriteFile(path, []byte(prices), 0o644); err != nil {
			return err
		}
		flags = append(flags, "--expander=least-cost", "--asg-price-file="+path)
	}
	if err := side.StartAutoscaler(ctx, harness.Manifest, append(flags, r.contestant.flags...)...); err != nil {
		return err
	}
	r.process = side.Autoscaler()
	return nil
}

// launchKarpenter starts Karpenter with a NodePool for each set of taints. It has the types of the groups with these taints. Spot pools
// come first.
func (r *run) launchKarpenter(ctx context.Context) error {
	dir := filepath.Join(r.dir, "karpenter")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	p, err := karpenter.Start(ctx, karpenter.Options{Binary: r.karpenter, Dir: dir, Cluster: r.env.Cluster, Pools: pools(r.real), BootTime: r.boot(),
		Policy: r.policy, Flags: append(r.speed.flags(r.program), r.contestant.flags...)})
	if err != nil {
		return err
	}
	r.process, r.claims = p, p.Claims()
	return nil
}

func pools(m *mix.Mix) []karpenter.Pool {
	var list []karpenter.Pool
	index := map[string]int{}
	for _, g := range m.Groups {
		name := "on-demand"
		if g.Spot {
			name = "spot"
		}
		if gpus := g.Node.Status.Allocatable["nvidia.com/gpu"]; !gpus.IsZero() {
			name = "gpu-" + name
		}
		n, known := index[name]
		if !known {
			n = len(list)
			index[name], list = n, append(list, karpenter.Pool{Name: name, Taints: g.Node.Spec.Taints})
			if g.Spot {
				list[n].CapacityType, list[n].Weight = "spot", 10
			}
		}
		list[n].Offers = append(list[n].Offers, karpenter.Offer{InstanceType: g.InstanceType, PerHour: g.PerHour, Node: g.Node})
	}
	return list
}

// midnight waits until all pods run.
func (r *run) midnight(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, preparing, errors.New("the pods of midnight do not run in time"))
	defer cancel()
	want := 0
	for _, c := range r.changes {
		if c.at == 0 {
			want += c.pods
		}
	}
	return harness.Until(ctx, pause, func() (bool, error) { return r.look().running >= want, nil }, r.process)
}

// hours lets the day go by.
func (r *run) hours(ctx context.Context, changes []change) error {
	r.begin = time.Now()
	clock := time.NewTicker(tick)
	defer clock.Stop()
	hour := 0
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-clock.C:
		}
		if err := harness.Ended(r.process); err != nil {
			return err
		}
		now := time.Duration(float64(time.Since(r.begin)) * float64(r.speed))
		if now >= day {
			return nil
		}
		for len(changes) > 0 && changes[0].at <= now {
			if err := r.apply(ctx, changes[0]); err != nil {
				return err
			}
			changes = changes[1:]
		}
		r.samples = append(r.samples, r.look())
		if int(now.Hours()) > hour && int(now.Hours())%4 == 0 {
			hour = int(now.Hours())
			s := r.samples[len(r.samples)-1]
			fmt.Fprintf(r.progress, "%s, %s, %02d:00: %d pods run, %.2f an hour\n", r.plan.name, r.contestant.name, hour, s.running, s.bill)
		}
	}
}

// look is a sample of now. AWS charges for an instance until its termination begins.
func (r *run) look() sample {
	s := sample{pods: map[string]int{}}
	for _, p := range r.pods.Pods() {
		if p.Wants() {
			s.pods[p.App]++
		}
		if p.Runs() {
			s.running++
		}
	}
	if r.claims != nil {
		for _, c := range r.claims.Seen() {
			if c.Gone.IsZero() && c.InstanceType != "" {
				s.bill += r.prices[groupOf(c)]
			}
		}
		return s
	}
	for _, g := range r.env.AWS.Groups() {
		for _, i := range g.Instances {
			if !strings.HasPrefix(i.State, "Terminating") {
				s.bill += r.prices[g.Name]
			}
		}
	}
	return s
}

// groupOf is the name of the group with the claim's price.
func groupOf(c karpenter.Claim) string {
	if c.CapacityType == "spot" {
		return c.InstanceType + "-spot"
	}
	return c.InstanceType
}
