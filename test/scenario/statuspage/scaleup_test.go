package statuspage

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/chromium"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

var pictures = flag.String("pictures", "", "directory to write pictures of the page to")

// An operator has the page open while three pods with a GPU and one that fits nowhere appear. The page follows to the end of the scale-up
// without a reload, and names the cause of the pod that still waits.
func TestPageDuringScaleUp(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	env := started(t)
	page := chromium.Open(t)
	page.Look(1280, "light")
	page.Go("http://" + env.Autoscaler().Address + "/status")
	page.Await(`document.querySelector("h1").textContent === "All is well, no pod waits"`)
	page.Eval(`window.loaded = true`, nil)

	pods, err := os.ReadFile(filepath.Join("testdata", "pods.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := env.Kubectl(t.Context(), string(pods), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	text := func(part string) string { return fmt.Sprintf(`document.getElementById(%q).textContent`, part) }
	page.Await(text("headline") + `.includes("1 pod waits") && ` + text("headline") + `.includes("nvidia.com/gpu")`)
	page.Await(`document.querySelector("#groups [data-key=g4dn-spot] .figures b").textContent === "3"`)
	page.Await(text("timeline") + `.includes("Scale-up") && ` + text("launches") + `.includes("3 of 3")`)
	page.Await(text("calls") + `.includes("DescribeAutoScalingGroups")`)
	page.Await(`document.querySelector("#groups [data-key=g4dn-spot] .bar").getAttribute("aria-label").includes("3 ready, 0 starting")`)
	page.Await(`document.querySelectorAll("#pods article").length === 1 && ` + text("pods") + `.includes("default/finetune")`)
	for _, width := range []int{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			page.Look(width, scheme)
			page.Await(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`)
			if *pictures != "" {
				path := filepath.Join(*pictures, fmt.Sprintf("scale-up-%d-%s.png", width, scheme))
				if err := os.WriteFile(path, page.Picture(0, 3000), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var loaded bool
	if page.Eval(`window.loaded === true`, &loaded); !loaded {
		t.Error("the page was loaded again")
	}

	if _, err := env.Kubectl(t.Context(), "", "delete", "pod", "finetune"); err != nil {
		t.Fatal(err)
	}
	page.Await(`document.querySelector("h1").textContent === "All is well, no pod waits"`)
	if problems := page.Problems(); len(problems) > 0 {
		t.Errorf("the console shows %q", problems)
	}
}

// started is the autoscaler on a control plane of its own.
func started(t *testing.T) *scenario.Env {
	t.Helper()
	if err := scenario.LookAtSources(filepath.Join("..", "..", "..")); err != nil { // for the cache of go test
		t.Fatal(err)
	}
	binary, err := scenario.BuildAutoscaler(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	env, err := scenario.Start(t.Context(), scenario.Options{Dir: t.TempDir(), Binary: binary, Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	account, err := fakeaws.LoadConfig(filepath.Join("testdata", "account.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := env.StartAWS(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	if err := env.StartAutoscaler(t.Context(), "s0-gpu-spot-china", "--scan-interval=2s"); err != nil {
		t.Fatal(err)
	}
	return env
}
