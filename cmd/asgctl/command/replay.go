package command

import (
	"archive/zip"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go/middleware"
	"github.com/spf13/cobra"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/running"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/show"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/source"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/dryrun"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/process"
)

func (c *cli) replay() *cobra.Command {
	e, pod := &explainer{cli: c}, ""
	cmd := &cobra.Command{
		Use: "replay FILE [-- FLAGS OF THE AUTOSCALER]", Short: "Run a recorded loop again, without AWS and the cluster",
		Long: `Runs a loop again that the autoscaler has recorded (--asg-record-loops, /status/loop.zip), and says what differs from its decisions then.
It takes the flags of the autoscaler. Flags after -- replace flags of the same name. Like the loops of asgctl explain, this one knows of no cool-down, of no
delay that has begun, and of no file that a flag names. Exits with 3 if a pod would get no node.`,
		Example: "  asgctl replay loop.zip\n  asgctl replay loop.zip --pod shop/web-0 -- --expander=least-cost",
		Args:    cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error {
			files, flags := afterDash(cmd, args)
			if len(files) != 1 {
				return errors.New("want asgctl replay FILE, and the autoscaler's flags behind --")
			}
			e.recording = files[0]
			if pod == "" {
				return e.all(cmd, flags)
			}
			namespace, name, _ := strings.Cut(pod, "/")
			if namespace == "" || name == "" {
				return fmt.Errorf("--pod=%s: want NAMESPACE/NAME", pod)
			}
			e.namespace = namespace
			return e.pod(cmd, name, flags)
		},
	}
	cmd.Flags().StringVar(&pod, "pod", "", "The pod to explain, as NAMESPACE/NAME. If empty: all that waited.")
	cmd.Flags().DurationVar(&e.timeout, "timeout", 10*time.Minute, "Time after which the loop is given up.")
	return cmd
}

// again runs the recorded loop, and says what differs.
func (e *explainer) again(ctx context.Context, flags []string, asked process.Question) (*decision.Report, error) {
	archive, err := zip.OpenReader(e.recording)
	if err != nil {
		return nil, failure{fmt.Errorf("read the recording: %w", err)}
	}
	defer archive.Close()
	recorded, account, err := e.recorded(&archive.Reader)
	if err != nil {
		return nil, failure{fmt.Errorf("read the recording: %w", err)}
	}
	began := recorded.Loop.Started
	over, left := running.Over(append([]string{"--asg-region=" + recorded.Process.Region}, recorded.Process.Flags...), flags)
	fmt.Fprintf(e.stderr, "asgctl: replays loop %d of %s, of version %s, with its flags%s.\n", recorded.Loop.Number, began.UTC().Format(time.RFC3339),
		show.Clean(recorded.Process.Version), but(left))
	e.source, asked.AWS = show.Replay, []func(*middleware.Stack) error{account.Answer}
	r, err := e.loops(ctx, dryrun.Recording{Files: archive, Later: time.Since(began)}.Kube(), over, len(flags), asked)
	if err == nil {
		fmt.Fprintln(e.stderr, "asgctl: The recorded loop decided "+differences(recorded, r))
	}
	return r, err
}

// differences are the pods about which the recorded loop decided otherwise, and how. A pod that it has left for the next loop is none.
// Pods that it moved from nodes are in no report, so nothing is said about the nodes that it launched for them.
func differences(recorded, now *decision.Report) (text string) {
	said := func(p decision.Pod) string {
		return fmt.Sprintf("%s in %s: %s", p.State, cmp.Or(p.Group, "no group"), p.Cause.Message)
	}
	for _, was := range recorded.Pods {
		at := slices.IndexFunc(now.Pods, func(is decision.Pod) bool { return is.UID == was.UID })
		if at < 0 || was.State == decision.PodDelayed {
			continue
		}
		if is := now.Pods[at]; is.State != was.State || is.Group != was.Group || is.Cause.Code != was.Cause.Code {
			text += "\n" + show.Clean(was.Namespace+"/"+was.Name+" was "+said(was)+", and is "+said(is))
		}
	}
	if text != "" {
		return "otherwise:" + text
	}
	return "the same about the pods that waited."
}

// mostRecorded bounds the files of a recording. One of 5,000 nodes with ten pods each has less than a fifth of it.
const mostRecorded = 1 << 30

// recorded returns the report and AWS's answers of a recording. It reads all files once, because the loop would take a damaged one for a kind that was
// not recorded.
func (e *explainer) recorded(archive *zip.Reader) (*decision.Report, *source.Account, error) {
	size := uint64(0)
	for _, f := range archive.File {
		if size += min(f.UncompressedSize64, mostRecorded+1); size > mostRecorded {
			return nil, nil, fmt.Errorf("%s has more than %d MiB", e.recording, mostRecorded>>20)
		}
		content, err := f.Open()
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s of %s: %w", f.Name, e.recording, err)
		}
	}
	report, err := archive.Open(dryrun.ReportFile)
	if err != nil {
		return nil, nil, err
	}
	recorded, err := running.Decode(report, e.recording)
	if err != nil {
		return nil, nil, err
	}
	account, err := source.LoadAccount(archive, e.recording)
	return recorded, account, err
}
