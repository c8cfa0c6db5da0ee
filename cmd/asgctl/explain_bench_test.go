package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The size of the cluster in BenchmarkExplain.
const (
	benchGroups   = 1000
	nodesPerGroup = 5
	podsPerNode   = 4
	teams         = 20 // each node has one's label
	waiting       = 25 // pods of one Deployment, for one team
)

// BenchmarkExplain explains 25 pending pods offline, with 1,000 groups, 5,000 nodes and 20,000 pods on them. The time is that of the
// process, from its start to its end:
//
//	go test -run '^$' -bench Explain -benchtime 3x ./cmd/asgctl
func BenchmarkExplain(b *testing.B) {
	dir := b.TempDir()
	write(b, filepath.Join(dir, "auto-scaling-groups.json"), writeGroups)
	write(b, filepath.Join(dir, "launch-template-versions.json"), writeTemplates)
	nodes, pods := filepath.Join(dir, "nodes.json"), filepath.Join(dir, "pods.json")
	write(b, nodes, writeNodes)
	write(b, pods, writePods)
	for _, question := range []string{"pods", "pod waits-0", "node ip-0-0"} {
		b.Run("question="+strings.Fields(question)[0], func(b *testing.B) {
			var memory int64
			for b.Loop() {
				cmd := exec.Command("asgctl", append(append([]string{"explain"}, strings.Fields(question)...),
					"--from", dir, "--nodes", nodes, "--pods", pods)...)
				cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true")
				var out, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &stderr
				err := cmd.Run()
				var exit *exec.ExitError
				if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3) || out.Len() == 0 {
					b.Fatalf("%v\n%s%s", err, out.String(), stderr.String())
				}
				memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
			}
			b.ReportMetric(float64(memory)/1024, "peak-RSS-MiB")
		})
	}
}

func write(b *testing.B, path string, content func(io.Writer)) {
	b.Helper()
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	content(w)
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		b.Fatal(err)
	}
}

// list writes n elements and what stands around them.
func list(w io.Writer, before string, n int, element func(at int) string, after string) {
	fmt.Fprint(w, before)
	for at := range n {
		if at > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprint(w, element(at))
	}
	fmt.Fprint(w, after)
}

func instance(group, node int) string { return fmt.Sprintf("i-%08x%09x", group, node) }

func writeGroups(w io.Writer) {
	list(w, `{"AutoScalingGroups": [`, benchGroups, func(group int) string {
		var b strings.Builder
		list(&b, fmt.Sprintf(`{"AutoScalingGroupName": "group-%[1]d", "AutoScalingGroupARN": "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:%[1]d:autoScalingGroupName/group-%[1]d",
 "LaunchTemplate": {"LaunchTemplateId": "lt-0a", "LaunchTemplateName": "workers", "Version": "1"},
 "MinSize": 0, "MaxSize": 20, "DesiredCapacity": %[2]d, "AvailabilityZones": ["us-west-2a"],
 "Tags": [{"Key": "k8s.io/cluster-autoscaler/node-template/label/team", "Value": "team-%[3]d"}, {"Key": "k8s.io/cluster-autoscaler/enabled", "Value": "true"}],
 "Instances": [`, group, nodesPerGroup, group%teams), nodesPerGroup, func(node int) string {
			return fmt.Sprintf(`{"InstanceId": %q, "AvailabilityZone": "us-west-2a", "LifecycleState": "InService", "HealthStatus": "Healthy", "InstanceType": "m5.large",
 "LaunchTemplate": {"LaunchTemplateId": "lt-0a", "LaunchTemplateName": "workers", "Version": "1"}}`, instance(group, node))
		}, "]}")
		return b.String()
	}, "]}\n")
}

func writeTemplates(w io.Writer) {
	fmt.Fprintln(w, `{"LaunchTemplateVersions": [{"LaunchTemplateId": "lt-0a", "LaunchTemplateName": "workers", "VersionNumber": 1, "DefaultVersion": true,
 "LaunchTemplateData": {"ImageId": "ami-0a", "InstanceType": "m5.large"}}]}`)
}

func writeNodes(w io.Writer) {
	list(w, `{"kind": "List", "apiVersion": "v1", "items": [`, benchGroups*nodesPerGroup, func(at int) string {
		group, node := at/nodesPerGroup, at%nodesPerGroup
		return fmt.Sprintf(`{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "ip-%[1]d-%[2]d", "uid": "n-%[1]d-%[2]d", "creationTimestamp": "2026-01-01T00:00:00Z",
 "labels": {"kubernetes.io/hostname": "ip-%[1]d-%[2]d", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "node.kubernetes.io/instance-type": "m5.large",
  "topology.kubernetes.io/zone": "us-west-2a", "topology.kubernetes.io/region": "us-west-2", "team": "team-%[3]d"}},
 "spec": {"providerID": "aws:///us-west-2a/%[4]s"},
 "status": {"capacity": {"cpu": "2", "memory": "7910184Ki", "pods": "29", "ephemeral-storage": "83873772Ki"},
  "allocatable": {"cpu": "1930m", "memory": "7219Mi", "pods": "29", "ephemeral-storage": "76224326324"},
  "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": "2026-01-01T00:10:00Z", "lastTransitionTime": "2026-01-01T00:01:00Z"}]}}`,
			group, node, group%teams, instance(group, node))
	}, "]}\n")
}

func writePods(w io.Writer) {
	list(w, `{"kind": "List", "apiVersion": "v1", "items": [`, benchGroups*nodesPerGroup*podsPerNode, func(at int) string {
		node := at / podsPerNode
		return fmt.Sprintf(`{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "runs-%[1]d", "namespace": "default", "uid": "p-%[1]d", "creationTimestamp": "2026-01-01T00:00:00Z",
 "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "runs", "uid": "rs", "controller": true}]},
 "spec": {"nodeName": "ip-%[2]d-%[3]d", "containers": [{"name": "main", "image": "web", "resources": {"requests": {"cpu": "450m", "memory": "512Mi"}}}]},
 "status": {"phase": "Running"}}`, at, node/nodesPerGroup, node%nodesPerGroup)
	}, "]}\n")
	fmt.Fprintf(w, `{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "waits"}, "spec": {"replicas": %d, "selector": {"matchLabels": {"app": "waits"}},
 "template": {"metadata": {"labels": {"app": "waits"}}, "spec": {"nodeSelector": {"team": "team-7"},
  "containers": [{"name": "main", "image": "web", "resources": {"requests": {"cpu": "900m", "memory": "2Gi"}}}]}}}}
`, waiting)
}
