package controlplane

import (
	"embed"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// configFiles are the configuration files of the programs.
//
//go:embed config
var configFiles embed.FS

// ports are the TCP ports of one cluster, all on 127.0.0.1.
type ports struct {
	etcdClient, etcdPeer, apiServer, scheduler, controllerManager int
	kwok                                                          int
}

// Names of programs that callers restart.
const (
	EtcdName              = "etcd"
	APIServerName         = "kube-apiserver"
	SchedulerName         = "kube-scheduler"
	ControllerManagerName = "kube-controller-manager"
)

// command is the command line of a program, and its health check.
type command struct {
	name   string // also names its log
	path   string
	args   []string
	health string // URL that answers 200 once the program serves
	nice   int    // how much processor time it leaves to others, as for nice(1)
}

// commands are the programs of one cluster, in the order of their dependence.
type commands struct {
	etcd, apiServer command
	clients         []command // of kube-apiserver, in no order
}

// commandsFor returns the command lines of a cluster. It depends on nothing but its parameters.
func commandsFor(l layout, b Binaries, p ports, opts Options) commands {
	c := commands{
		etcd:      etcdCommand(l, b, p),
		apiServer: apiServerCommand(l, b, p, opts),
		clients:   []command{schedulerCommand(l, b, p, opts), controllerManagerCommand(l, b, p, opts)},
	}
	if !opts.WithoutKWOK {
		c.clients = append(c.clients, kwokCommand(l, b, p, opts))
	}
	if opts.Crowded {
		for i := range c.clients {
			c.clients[i].nice = 10
		}
	}
	return c
}

// etcdCommand keeps everything in the page cache, because the data need not outlive the processes.
func etcdCommand(l layout, b Binaries, p ports) command {
	return command{
		name: EtcdName,
		path: b.Etcd,
		args: []string{
			"--name=controlplane",
			"--data-dir=" + l.data(),
			"--listen-client-urls=" + url("http", p.etcdClient, ""),
			"--advertise-client-urls=" + url("http", p.etcdClient, ""),
			"--listen-peer-urls=" + url("http", p.etcdPeer, ""),
			"--initial-advertise-peer-urls=" + url("http", p.etcdPeer, ""),
			"--initial-cluster=controlplane=" + url("http", p.etcdPeer, ""),
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		health: url("http", p.etcdClient, "/readyz"),
	}
}

// apiServerCommand leaves kube-apiserver's defaults, with three exceptions: RBAC decides about permissions, refusals are
// logged, and the endpoints of the service "kubernetes" are left alone, because a loopback address may not be one.
func apiServerCommand(l layout, b Binaries, p ports, opts Options) command {
	args := []string{
		"--etcd-servers=" + url("http", p.etcdClient, ""),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(p.apiServer),
		"--tls-cert-file=" + l.key("server.crt"),
		"--tls-private-key-file=" + l.key("server.key"),
		"--client-ca-file=" + l.key("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + l.key("token.pub"),
		"--service-account-signing-key-file=" + l.key("token.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none",
		"--audit-policy-file=" + l.config("audit-policy.yaml"),
		"--audit-log-path=" + l.auditLog(),
		"--audit-log-maxsize=10000",
		"--profiling=false",
	}
	if len(opts.RuntimeConfig) > 0 {
		args = append(args, "--runtime-config="+switches(opts.RuntimeConfig))
	}
	return command{
		name:   APIServerName,
		path:   b.APIServer,
		args:   append(args, kubernetesArgs(opts)...),
		health: url("https", p.apiServer, "/readyz"),
	}
}

func schedulerCommand(l layout, b Binaries, p ports, opts Options) command {
	args := []string{
		"--config=" + l.config("scheduler.yaml"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(p.scheduler),
		"--tls-cert-file=" + l.key("server.crt"),
		"--tls-private-key-file=" + l.key("server.key"),
	}
	if opts.UnschedulableTime > 0 {
		args = append(args, "--pod-max-in-unschedulable-pods-duration="+opts.UnschedulableTime.String())
	}
	return command{
		name:   SchedulerName,
		path:   b.Scheduler,
		args:   append(args, kubernetesArgs(opts)...),
		health: url("https", p.scheduler, "/readyz"),
	}
}

// controllerManagerCommand runs every controller that is on by default, but for controllers of volumes attached to, or
// networks routed to, real machines.
func controllerManagerCommand(l layout, b Binaries, p ports, opts Options) command {
	qps, burst := 500, 1000
	if opts.DefaultRates {
		qps, burst = 20, 30
	}
	args := []string{
		"--kubeconfig=" + l.kubeconfig("kube-controller-manager"),
		"--kube-api-qps=" + strconv.Itoa(qps),
		"--kube-api-burst=" + strconv.Itoa(burst),
		"--leader-elect=false",
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(p.controllerManager),
		"--tls-cert-file=" + l.key("server.crt"),
		"--tls-private-key-file=" + l.key("server.key"),
		"--root-ca-file=" + l.key("ca.crt"),
		"--service-account-private-key-file=" + l.key("token.key"),
		"--controllers=*,-node-ipam-controller,-node-route-controller,-service-lb-controller," +
			"-persistentvolume-attach-detach-controller,-persistentvolume-expander-controller",
		// A claim seen before its volume is looked at again after this time. The default is 15 s.
		"--pvclaimbinder-sync-period=2s",
		"--node-monitor-grace-period=" + (leasesMissed * opts.leaseRenewal()).String(),
		"--profiling=false",
	}
	return command{
		name:   ControllerManagerName,
		path:   b.ControllerManager,
		args:   append(args, kubernetesArgs(opts)...),
		health: url("https", p.controllerManager, "/healthz"),
	}
}

func kwokCommand(l layout, b Binaries, p ports, opts Options) command {
	return command{
		name: "kwok",
		path: b.KWOK,
		args: []string{
			"--kubeconfig=" + l.kubeconfig("kwok"),
			"--stages=" + l.config("stages.yaml"),
			"--nodes=kwok.x-k8s.io/node=fake",
			"--renew-leases=" + opts.leaseRenewal().String(),
			"--listen=127.0.0.1:" + strconv.Itoa(p.kwok),
		},
		health: url("http", p.kwok, "/healthz"),
	}
}

// kubernetesArgs are the flags that all three Kubernetes programs share.
func kubernetesArgs(opts Options) []string {
	args := []string{"--v=0"}
	if opts.EmulatedVersion != "" {
		args = append(args, "--emulated-version="+opts.EmulatedVersion)
	}
	if len(opts.FeatureGates) > 0 {
		args = append(args, "--feature-gates="+switches(opts.FeatureGates))
	}
	return args
}

// switches formats a set of switches the way Kubernetes flags take them, sorted.
func switches(set map[string]bool) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, name+"="+strconv.FormatBool(set[name]))
	}
	return strings.Join(parts, ",")
}

func url(scheme string, port int, path string) string {
	return fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, port, path)
}

// writeConfigs writes the configuration files that the command lines name.
func writeConfigs(l layout, opts Options) error {
	qps, burst := 500, 1000
	switch {
	case opts.DefaultRates:
		qps, burst = 50, 100
	case opts.Crowded:
		qps, burst = 200, 400
	}
	values := strings.NewReplacer("{{KUBECONFIG}}", l.kubeconfig("kube-scheduler"), "{{QPS}}", strconv.Itoa(qps), "{{BURST}}", strconv.Itoa(burst))
	for _, file := range []string{"audit-policy.yaml", "scheduler.yaml", "stages.yaml"} {
		content, err := configFiles.ReadFile("config/" + file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(l.config(file), []byte(values.Replace(string(content))), 0o600); err != nil {
			return err
		}
	}
	return nil
}
