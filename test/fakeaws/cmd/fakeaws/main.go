package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/asg-autoscaler/asg-autoscaler/test/fakeaws"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "fakeaws:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. Stdout gets one line: the endpoint.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("fakeaws", flag.ContinueOnError)
	flags.SetOutput(stderr)
	config := flags.String("config", "", "YAML file with the account to emulate (required)")
	listen := flags.String("listen", "127.0.0.1:0", "loopback address to serve on; port 0 takes a free one")
	kubeconfig := flags.String("kubeconfig", "", "cluster to publish the Nodes of instances to; none by default")
	var others []string
	flags.Func("cluster", "NAME=KUBECONFIG: cluster to publish the Nodes of groups to that name it; may be repeated", func(value string) error {
		if name, file, ok := strings.Cut(value, "="); !ok || name == "" || file == "" {
			return errors.New("write it as NAME=KUBECONFIG")
		}
		others = append(others, value)
		return nil
	})
	quiet := flags.Bool("quiet", false, "do not print events on stderr")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *config == "" {
		return errors.New("--config FILE is needed")
	}
	cfg, err := fakeaws.LoadConfig(*config)
	if err != nil {
		return err
	}
	server, err := fakeaws.Start(ctx, cfg, fakeaws.ListenOn(*listen))
	if err != nil {
		return err
	}
	defer server.Close()
	for _, cluster := range append([]string{"=" + *kubeconfig}, others...) {
		name, file, _ := strings.Cut(cluster, "=")
		if err := attach(server, name, file); err != nil {
			return err
		}
	}
	fmt.Fprintf(stdout, "AWS_ENDPOINT_URL=%s\n", server.URL())
	for e := range server.Subscribe(ctx, 0) {
		if !*quiet {
			fmt.Fprintln(stderr, e)
		}
	}
	return nil
}

// attach connects a cluster, if there is one.
func attach(server *fakeaws.Server, name, kubeconfig string) error {
	if kubeconfig == "" {
		return nil
	}
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	rest.QPS, rest.Burst = 500, 1000
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	return server.AttachCluster(name, client)
}
