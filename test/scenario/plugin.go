package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/certificates"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
)

// pluginSide is the autoscaler as a plugin of stock.
type pluginSide struct {
	flags []string // that make it a plugin
	stock []string // by which stock finds it
	link  *link
}

// StartPlugin runs the program as StartAutoscaler does, and as a plugin. From now on the script's "stock" is an unmodified core without
// a provider of its own, which asks the plugin.
func (e *Env) StartPlugin(ctx context.Context, manifest string, extra ...string) error {
	if err := e.PreparePlugin(ctx); err != nil {
		return err
	}
	return e.StartAutoscaler(ctx, manifest, slices.Concat(e.plugin.flags, extra)...)
}

// PreparePlugin makes the plugin's certificates and permissions, unless they are there. StartPlugin does it, too.
func (e *Env) PreparePlugin(ctx context.Context) error {
	if e.plugin != nil {
		return nil
	}
	access, err := documents("rbac-plugin")
	if err != nil {
		return err
	}
	if _, err := e.Cluster.RunKubectl(ctx, strings.Join(access, "\n---\n"), "apply", "-f", "-"); err != nil {
		return err
	}
	if e.plugin, err = newPluginSide(e.dir); err != nil {
		return fmt.Errorf("prepare the plugin: %w", err)
	}
	return nil
}

// newPluginSide writes certificates and the cloud config of stock into dir.
func newPluginSide(dir string) (*pluginSide, error) {
	address, err := loopback.FreeAddress()
	if err != nil {
		return nil, err
	}
	between, err := newLink(address)
	if err != nil {
		return nil, err
	}
	if err := certificates.WriteForPlugin(dir); err != nil {
		return nil, err
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	config := fmt.Sprintf("address: %q\ncert: %q\nkey: %q\ncacert: %q\n", between.address(), path("client.crt"), path("client.key"), path("ca.crt"))
	if err := os.WriteFile(path("externalgrpc"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return &pluginSide{
		flags: []string{"--asg-plugin-address=" + address, "--asg-plugin-cert=" + path("tls.crt"), "--asg-plugin-key=" + path("tls.key"),
			"--asg-plugin-client-ca=" + path("ca.crt")},
		stock: []string{"--cloud-provider=externalgrpc", "--cloud-config=" + path("externalgrpc"), "--expander=grpc",
			"--grpc-expander-url=" + between.address(), "--grpc-expander-cert=" + path("ca.crt")},
		link: between,
	}, nil
}

// closePlugin ends the network between stock and the plugin.
func (e *Env) closePlugin() {
	if e.plugin != nil {
		e.plugin.link.close()
	}
}

// runPlugin starts the autoscaler as a plugin.
func (s *script) runPlugin(args []string) error { return s.StartPlugin(s.ctx, args[0], args[1:]...) }

// network changes the network between stock and the plugin.
func (s *script) network(args []string) error {
	if s.plugin == nil {
		return errors.New("start the plugin first: plugin MANIFEST [FLAG...]")
	}
	switch {
	case len(args) == 2 && args[0] == "slow":
		delay, err := time.ParseDuration(args[1])
		s.plugin.link.set(delay, false)
		return err
	case len(args) == 1 && args[0] == "hold":
		s.plugin.link.set(0, true)
		return nil
	case len(args) == 1 && args[0] == "clear":
		s.plugin.link.set(0, false)
		return nil
	}
	return errors.New("usage: network slow DURATION | hold | clear")
}
