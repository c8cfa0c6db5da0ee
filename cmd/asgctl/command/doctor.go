package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision/why"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/doctor"
)

func (c *cli) doctor() *cobra.Command {
	o := doctor.Options{Now: time.Now}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look for faults of an installation, in AWS and in the cluster",
		Long: `Looks for faults of an installation, and changes nothing. A finding says what is wrong, how we know, and the next command to type.
A check that cannot look says which permission it needs, and that is no finding.

It reads the cluster as kubectl does. Flags of the groups that are not given here are taken from the autoscaler's pod. Permissions of AWS are
the caller's: run it in the autoscaler's pod to check the autoscaler's own. asgctl account looks at the permissions alone, and tries one launch.

Exits with 3 if it finds something, and with 1 if neither AWS nor the cluster can be read.

Checks: ` + strings.Join(doctor.Names(), ", "),
		Example: "  asgctl doctor\n  asgctl doctor -o json\n  kubectl -n kube-system exec deploy/cluster-autoscaler -- /asgctl doctor --asg-cluster-name prod\n" +
			"  asgctl doctor --skip types,limits",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range o.Skip {
				if !slices.Contains(doctor.Names(), name) {
					return fmt.Errorf("--skip: there is no check %q: use %s", name, strings.Join(doctor.Names(), ", "))
				}
			}
			o.Read, o.Timeout = c.read, c.timeout
			report, err := doctor.Run(klog.NewContext(cmd.Context(), c.log()), o)
			if err != nil {
				return failure{err}
			}
			wrong := ""
			if report.Findings > 0 {
				wrong = why.Count(report.Findings, "finding")
			}
			return c.print(report, report.Table, wrong)
		},
	}
	c.liveFlags(cmd)
	flags := cmd.Flags()
	flags.Lookup("node-group-auto-discovery").Usage = "As the autoscaler's: asg:tag=<key>[=<value>][,…]. May be repeated. Without it and --nodes, those of the " +
		"autoscaler's pod count, and without a pod the tag k8s.io/cluster-autoscaler/enabled."
	flags.Lookup("asg-cluster-name").Usage = "As the autoscaler's: groups that state another cluster are left alone. If empty: found out as by the autoscaler."
	flags.Lookup("asg-node-group-discovery").Usage = "As the autoscaler's: all or any. If empty: of the autoscaler's pod, or else all."
	flags.Lookup("asg-zonal-groups").Usage = "As the autoscaler's: off, tagged or all. If empty: of the autoscaler's pod, or else tagged."
	flags.Lookup("region").Usage = "AWS region. If empty: of the autoscaler's pod, or else of the nodes' label, or else as the SDK finds it."
	flags.StringVar(&o.Queue, "asg-interruption-queue", "", "As the autoscaler's: name or URL of the queue of interruptions.")
	o.Running.KubeFlags(flags)
	flags.StringVar(&o.Running.Namespace, "autoscaler-namespace", "", "Namespace of the autoscaler. If empty: of the one in whose pod "+
		"asgctl runs, or of the only one in the cluster, or else kube-system.")
	flags.StringVar(&o.Account, "service-account", "", "ServiceAccount of the autoscaler. If empty: as for --autoscaler-namespace, or else cluster-autoscaler.")
	flags.StringVar(&o.Running.URL, "url", "", "Address of the running autoscaler, such as http://127.0.0.1:8085 after kubectl port-forward. "+
		"If empty: it is asked through the API server.")
	flags.StringSliceVar(&o.Skip, "skip", nil, "Checks to leave out, with commas.")
	return cmd
}
