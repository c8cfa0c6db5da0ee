package growth

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	module = "github.com/asg-autoscaler/asg-autoscaler/"
	core   = "k8s.io/autoscaler/cluster-autoscaler/"

	// oneLoop is the function under which the core's loop runs.
	oneLoop = "core.(*StaticAutoscaler).RunOnce"
)

// The owners of what belongs to none of our packages. All others are named by their path in the module.
const (
	ours     = "our packages" // all of them
	theCore  = "core"
	garbage  = "garbage collection"
	noOwner  = "libraries"
	gcWorker = "runtime.gcBgMarkWorker"
)

// A split is a profile, split by owners: whoever of the core and our packages is innermost on a stack. So what a library does counts
// for the package that calls it.
type split struct{ inLoop, beside map[string]float64 }

func (s split) all() map[string]float64 {
	sum := maps.Clone(s.inLoop)
	for owner, value := range s.beside {
		sum[owner] += value
	}
	return sum
}

// split keeps a profile in the run's folder and splits it.
func (r *run) split(ctx context.Context, raw, kind, unit string) (split, error) {
	path := filepath.Join(r.dir, kind+".pprof")
	if err := os.WriteFile(path, []byte(raw), 0o644); err != nil {
		return split{}, err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", "-sample_index="+kind, "-unit="+unit, path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return split{}, fmt.Errorf("go tool pprof: %w: %s", err, stderr.String())
	}
	return splitTraces(text, unit)
}

// splitTraces reads what go tool pprof -traces prints: stacks, innermost function first, each behind a line of dashes. The first line of a stack
// begins with its value. Lines with a colon before them are labels.
func splitTraces(text []byte, unit string) (split, error) {
	s := split{map[string]float64{}, map[string]float64{}}
	var stack []string
	value := 0.0
	end := func() {
		if len(stack) > 0 {
			where := s.beside
			if slices.ContainsFunc(stack, func(f string) bool { return strings.Contains(f, oneLoop) }) {
				where = s.inLoop
			}
			where[owner(stack)] += value
		}
		stack, value = nil, 0
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for begun := false; lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case strings.HasPrefix(lines.Text(), "-----------+"):
			end()
			begun = true
		case !begun || len(fields) == 0 || strings.HasSuffix(fields[0], ":"):
		case len(stack) == 0 && len(fields) > 1:
			var err error
			if value, err = strconv.ParseFloat(strings.TrimSuffix(fields[0], unit), 64); err != nil {
				return s, fmt.Errorf("trace %q: %w", lines.Text(), err)
			}
			stack = append(stack, fields[1])
		default:
			stack = append(stack, fields[0])
		}
	}
	end()
	return s, lines.Err()
}

// owner is whose code a stack runs.
func owner(stack []string) string {
	for _, function := range stack {
		if name, found := strings.CutPrefix(function, module); found {
			folder, file := path.Split(name)
			file, _, _ = strings.Cut(file, ".")
			return folder + file
		}
		switch {
		case strings.HasPrefix(function, core):
			return theCore
		case strings.HasPrefix(function, gcWorker):
			return garbage
		}
	}
	return noOwner
}

// ofOurs reports whether an owner is one of our packages.
func ofOurs(owner string) bool { return owner != theCore && owner != garbage && owner != noOwner }

// enough is the least of which a profile has enough samples: it takes one for each 10 ms, and for each half MiB.
var enough = map[string]float64{"ms": 500, "MiB": 4096}

// fewest is how many samples of the processor are enough.
const fewest = 50

// perOwner adds a figure, the parts of our packages together, and the part of each owner. All are divided.
func (r *run) perOwner(what, unit string, values map[string]float64, divide float64) {
	total, own := 0.0, 0.0
	for name, value := range values {
		total += value
		if ofOurs(name) {
			own += value
		}
	}
	r.add(what, unit, total/divide)
	part := func(owner string, value float64) {
		r.figures = append(r.figures, figure{what, owner, unit, value / divide, enough[unit] / divide})
	}
	part(ours, own)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		part(name, values[name])
	}
}
