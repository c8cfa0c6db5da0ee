package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/asg-autoscaler/asg-autoscaler/test/bench/harness"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/karpenter"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/stock"
)

// A kind is a program. A peer is a program with flags.
type kind int

const (
	ourKind kind = iota
	stockKind
	pluginKind // stock's core, and ours as its plugin
	karpenterKind
)

type peer struct {
	name, about string
	kind        kind
	flags       []string // beside the manifest's and the case's, which all Cluster Autoscalers get
}

func (p peer) String() string { return p.name }

// Names of the peers.
const (
	ours        = "ours"
	stockPlain  = "stock"
	stockTuned  = "stock-tuned"
	stockPlugin = "stock-plugin"
	karpenters  = "karpenter"
)

// peers are all contestants, in the order of the report.
var peers = []peer{
	{name: ours, about: "this autoscaler, with its defaults", kind: ourKind},
	{name: stockPlain, about: "the stock autoscaler of the same core, with its defaults", kind: stockKind},
	{name: stockTuned, about: "the stock autoscaler with flags that make it ask fastest", kind: stockKind, flags: tuned},
	{name: stockPlugin, about: "the unmodified core with its defaults, which asks this autoscaler as a plugin", kind: pluginKind},
	{name: karpenters, about: aboutKarpenter, kind: karpenterKind},
}

// aboutKarpenter is for a version. It states what prepare of test/emulator/karpenter sets, and where that is not the default.
const aboutKarpenter = "Karpenter %s with its KWOK provider, which launches at once and refuses nothing, so no launch backs off. " +
	"It has its default options (a batch ends 1 s after its last pod, and 10 s after its first at the latest), but elects no leader. " +
	"Its NodePools have disruption budgets of 100 %% (default 10 %%), `consolidationPolicy: WhenEmpty` (default " +
	"`WhenEmptyOrUnderutilized`), `consolidateAfter` of 10 s in the cases `down` and `Never` in the others (default 0 s), and `expireAfter: Never` (default 720 h)"

// tuned are the flags of stock that make it faster in these cases. The package's documentation says what each is for, and which were
// left out.
var tuned = []string{
	"--scan-interval=1s", "--bypassed-scheduler-names=default-scheduler", "--parallel-scale-up", "--fastpath-binpacking-enabled",
	"--max-scale-down-parallelism=1000", "--kube-client-qps=200", "--kube-client-burst=400",
}

// build makes the program of each kind that takes part.
func (b *bench) build(ctx context.Context) error {
	var err error
	if b.ours, err = harness.Build(ctx, b.dir, b.progress, false); err != nil { // the lab needs it, whoever takes part
		return err
	}
	b.programs = []string{b.ours}
	for n, p := range b.peers {
		program := ""
		switch p.kind {
		case stockKind:
			program, err = stock.Build(ctx, b.progress, stock.AWS, false)
		case pluginKind:
			program, err = stock.Build(ctx, b.progress, stock.ExternalGRPC, false)
		case karpenterKind:
			var version string
			if b.karpenter, version, err = karpenter.Build(ctx, b.progress); err == nil {
				b.peers[n].about = fmt.Sprintf(p.about, version)
			}
		}
		if err != nil {
			return err
		}
		if program != "" && !slices.Contains(b.programs, program) {
			b.programs = append(b.programs, program)
		}
	}
	return nil
}

// renew replaces each program's file by a copy, so that the kernel has all of them in its cache in the same way. Linux 6.18 maps a file that it has read
// from disk in larger pieces than one that was just written, and resident memory counts whole pieces.
func (b *bench) renew() error {
	for _, program := range b.programs {
		copied := fmt.Sprintf("%s.%d", program, os.Getpid())
		if err := exec.Command("cp", "-p", program, copied).Run(); err != nil {
			return fmt.Errorf("copy %s: %w", program, err)
		}
		if err := os.Rename(copied, program); err != nil {
			return err
		}
	}
	return nil
}
