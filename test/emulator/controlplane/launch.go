package controlplane

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/certificates"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

const (
	// pollInterval is the pause between two health checks of a starting program.
	pollInterval = 25 * time.Millisecond
	// startTimeout bounds how long a program may take to serve. A busy machine needs ten times the usual.
	startTimeout = 2 * time.Minute
)

// writeFiles fills the cluster's directory: keys, configuration, and a kubeconfig for each program and the admin.
func writeFiles(l layout, p ports, opts Options) error {
	ca, err := writeKeys(l)
	if err != nil {
		return err
	}
	for _, user := range []string{"admin", "kube-scheduler", "kube-controller-manager", "kwok"} {
		// The programs act as masters: one identity for all controllers saves a token request for each.
		pair, err := ca.Client("system:"+user, "system:masters")
		if err != nil {
			return err
		}
		info := &clientcmdapi.AuthInfo{ClientCertificateData: pair.Certificate, ClientKeyData: pair.Key}
		if err := writeKubeconfig(l.kubeconfig(user), url("https", p.apiServer, ""), ca.Certificate, info); err != nil {
			return err
		}
	}
	return writeConfigs(l, opts)
}

// writeKeys writes a cluster's authority, serving certificate and token keys, and returns the authority.
func writeKeys(l layout) (*certificates.Authority, error) {
	ca, err := certificates.NewAuthority("controlplane")
	if err != nil {
		return nil, err
	}
	server, err := ca.Server("127.0.0.1", "localhost", "kubernetes.default.svc")
	if err != nil {
		return nil, err
	}
	tokens, err := ca.Client("service account tokens")
	if err != nil {
		return nil, err
	}
	// kube-apiserver takes the public key out of a certificate.
	return ca, certificates.Write(l.keys(), map[string][]byte{"ca.crt": ca.Certificate, "server.crt": server.Certificate, "server.key": server.Key,
		"token.key": tokens.Key, "token.pub": tokens.Certificate})
}

// launch starts the programs in the order of their dependence and returns once all of them serve.
func (c *Cluster) launch(ctx context.Context, commands commands) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %v", startTimeout))
	defer cancel()
	for _, program := range []command{commands.etcd, commands.apiServer} {
		started, err := c.processes.start(program, c.layout)
		if err != nil {
			return err
		}
		if err := c.awaitHealthy(ctx, started); err != nil {
			return err
		}
	}
	var clients []*child
	for _, program := range commands.clients {
		started, err := c.processes.start(program, c.layout)
		if err != nil {
			return err
		}
		clients = append(clients, started)
	}
	for _, client := range clients {
		if err := c.awaitHealthy(ctx, client); err != nil {
			return err
		}
	}
	return c.awaitAccounts(ctx)
}

// Restart kills a program as kill -9 does, and starts it again with its data. It returns once the program and kube-apiserver
// serve. The programs are named as their logs. Clients find their connections and watches broken.
func (c *Cluster) Restart(ctx context.Context, program string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %v", startTimeout))
	defer cancel()
	started, err := c.processes.restart(program, c.layout)
	if err != nil {
		return err
	}
	if err := c.awaitHealthy(ctx, started); err != nil {
		return err
	}
	return c.awaitHealthy(ctx, c.processes.last(APIServerName))
}

// awaitHealthy polls a program's health URL until it answers 200, the program ends, or the context does.
func (c *Cluster) awaitHealthy(ctx context.Context, program *child) error {
	var last error
	for {
		if last = c.probe(ctx, program.command.health); last == nil {
			return nil
		}
		select {
		case <-program.done:
			return program.failure()
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%v); see its log %q", program.command.name, context.Cause(ctx), last, program.logPath)
		case <-time.After(pollInterval):
		}
	}
}

// probe asks a health URL once, with the admin's certificate.
func (c *Cluster) probe(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := c.health.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}

// awaitAccounts waits until pods can be created in the namespaces that are always used. Pods need their service accounts.
func (c *Cluster) awaitAccounts(ctx context.Context) error {
	for _, namespace := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem} {
		for {
			_, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
			if err == nil {
				break
			}
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("wait for the default service account of namespace %q: %w", namespace, err)
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for the default service account of namespace %q: %w", namespace, context.Cause(ctx))
			case <-time.After(pollInterval):
			}
		}
	}
	return nil
}

// freePorts picks ports that nothing listens on just now. If another program takes one first, Start tries again.
func freePorts() (ports, error) {
	var p ports
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for _, port := range []*int{&p.etcdClient, &p.etcdPeer, &p.apiServer, &p.scheduler, &p.controllerManager, &p.kwok} {
		l, err := loopback.Listen()
		if err != nil {
			return ports{}, err
		}
		held = append(held, l)
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}
