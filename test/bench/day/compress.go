package day

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/karpenter"
)

const module = "github.com/asg-autoscaler/asg-autoscaler/"

// timed are the packages of moves. They have minutes and hours that no flag sets.
var timed = []string{module + "cloudprovider/move", module + "cloudprovider/processors/scaledown"}

var longTime = regexp.MustCompile(`\btime\.(Hour|Minute)\b`)

// compressed writes copies of the timed packages, whose minutes and hours go by as fast as the day, and returns the file that has the go command build
// them. Times in seconds, however many, are about Kubernetes, and stay.
func (b *bench) compressed(ctx context.Context) (string, error) {
	files, err := exec.CommandContext(ctx, "go", append([]string{"list", "-f", `{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}`}, timed...)...).Output()
	if err != nil {
		return "", fmt.Errorf("list the files of %v: %w", timed, err)
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	shorter := fmt.Appendf(nil, "(time.$1 * %d / %d)", int(1000*b.minutes), int(1000*day.Minutes()))
	for n, path := range strings.Fields(string(files)) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		overlay.Replace[path] = filepath.Join(b.dir, fmt.Sprintf("compressed-%d.go", n))
		if err := os.WriteFile(overlay.Replace[path], longTime.ReplaceAll(text, shorter), 0o600); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list := filepath.Join(b.dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}

// buildKarpenter builds Karpenter from its source, but that the two pauses of its consolidation are compressed, no more than a loop of ours is.
func (b *bench) buildKarpenter(ctx context.Context) (string, error) {
	change := func(file, constant string, usual, least time.Duration) karpenter.Change {
		line := "const " + constant + " = "
		return karpenter.Change{File: "pkg/controllers/disruption/" + file, Old: fmt.Sprintf("%s%d * time.Second", line, int(usual.Seconds())),
			New: fmt.Sprintf("%s%d * time.Millisecond", line, speedOf(b.minutes).of(usual, least).Milliseconds())}
	}
	return karpenter.BuildChanged(ctx, b.dir, b.progress, change("controller.go", "pollingPeriod", 10*time.Second, leastScan),
		change("consolidation.go", "commandValidationDelay", 15*time.Second, 0))
}
