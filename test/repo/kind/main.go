package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/repo/chart"
)

// registry is the one that helm/kind-action starts with "registry: true".
const registry = "kind-registry:5000"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	image := flag.String("image", "bin/image", "`folder` with the image")
	network := flag.String("network", "kind", "docker `network` of the cluster")
	flag.Parse()
	if err := run(ctx, *image, *network); err != nil {
		fmt.Fprintln(os.Stderr, "kind:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, image, network string) error {
	repository := registry + "/asg-autoscaler"
	if _, err := output(ctx, "go", "-C", "build/image", "tool", "crane", "push", "--insecure", image, repository+":kind"); err != nil {
		return err
	}
	endpoint, err := serveAWS(ctx, network)
	if err != nil {
		return err
	}
	helm, err := chart.Helm(ctx, ".", "v4")
	if err != nil {
		return err
	}
	_, err = output(ctx, helm, "upgrade", "--install", "asg", "manifests/chart", "--namespace", "kube-system", "--wait", "--timeout", "3m",
		"--set", "autoDiscovery.clusterName=kind", "--set", "awsRegion=us-east-1", "--set", "awsAccessKeyID=id", "--set", "awsSecretAccessKey=secret",
		"--set", "extraEnv.AWS_ENDPOINT_URL="+endpoint, "--set", "image.repository="+repository, "--set", "image.tag=kind")
	pods, logs := output(ctx, "kubectl", "--namespace", "kube-system", "logs", "--selector", "app.kubernetes.io/instance=asg", "--tail", "50", "--prefix")
	fmt.Println(pods)
	return errors.Join(err, logs)
}

// serveAWS starts an emulated account with one empty group, and returns a URL of it for pods of the docker network.
func serveAWS(ctx context.Context, network string) (string, error) {
	aws, err := fakeaws.Start(ctx, fakeaws.Config{
		Region:          "us-east-1",
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "t", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-0123456789abcdef0", InstanceType: "m5.large"}}}},
		AutoScalingGroups: []fakeaws.AutoScalingGroup{{
			Name: "g", Max: 3, Zones: []string{"us-east-1a"}, LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "t", Version: "$Latest"},
			Tags: map[string]string{"k8s.io/cluster-autoscaler/enabled": "true", "k8s.io/cluster-autoscaler/kind": "owned"},
		}},
	})
	if err != nil {
		return "", err
	}
	target, err := url.Parse(aws.URL())
	if err != nil {
		return "", err
	}
	gateways, err := output(ctx, "docker", "network", "inspect", network, "--format", "{{range .IPAM.Config}}{{.Gateway}} {{end}}")
	if err != nil {
		return "", err
	}
	for gateway := range strings.FieldsSeq(gateways) {
		if ip := net.ParseIP(gateway); ip == nil || ip.To4() == nil {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(gateway, "0"))
		if err != nil {
			return "", err
		}
		// the emulator itself listens on loopback alone
		proxy := &http.Server{Handler: httputil.NewSingleHostReverseProxy(target), ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = proxy.Serve(listener) }()
		return "http://" + listener.Addr().String(), nil
	}
	return "", fmt.Errorf("docker network %s has no gateway of IPv4: %q", network, gateways)
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(append([]string{name}, args...), " "), err, out)
	}
	return string(out), nil
}
