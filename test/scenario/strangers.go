package scenario

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"k8s.io/autoscaler/cluster-autoscaler/cloudprovider/externalgrpc/protos"
	expanderprotos "k8s.io/autoscaler/cluster-autoscaler/expander/grpcplugin/protos"
)

const (
	strangerPause = 100 * time.Millisecond // between two calls of a stranger
	largeMessage  = 32 << 20
	// leastRefusals is how often the plugin must have refused each stranger before they go.
	leastRefusals = 10
)

// strangers call the plugin from other hosts than the core's, each in a goroutine of its own, until close.
type strangers struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	conns   []*grpc.ClientConn

	mu      sync.Mutex
	refused map[string]int // by stranger
	wrong   error          // the first answer that a stranger should not have got
}

// stranger is one of them. The plugin must refuse its call with the code.
type stranger struct {
	name      string
	certified bool // has the core's certificate
	call      func(context.Context, *grpc.ClientConn) error
	want      codes.Code
}

// strangersOf are the strangers of a scenario whose account has the group.
func strangersOf(group string) []stranger {
	asks := func(option *expanderprotos.Option) func(context.Context, *grpc.ClientConn) error {
		request := &expanderprotos.BestOptionsRequest{Options: []*expanderprotos.Option{option}}
		return func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := expanderprotos.NewExpanderClient(conn).BestOptions(ctx, request)
			return err
		}
	}
	noise := bytes.Repeat([]byte("x"), 1<<20)
	return []stranger{
		{"without a certificate", false, func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := protos.NewCloudProviderClient(conn).NodeGroups(ctx, &protos.NodeGroupsRequest{})
			return err
		}, codes.Unauthenticated},
		{"with a large message", false, asks(&expanderprotos.Option{NodeGroupId: group, NodeCount: 1, PodBytes: [][]byte{bytes.Repeat(noise, largeMessage/len(noise))}}),
			codes.Unauthenticated},
		{"with a malformed pod", true, asks(&expanderprotos.Option{NodeGroupId: group, NodeCount: 1, PodBytes: [][]byte{noise}}), codes.InvalidArgument},
		{"with an option of -1 nodes", true, asks(&expanderprotos.Option{NodeGroupId: group, NodeCount: -1}), codes.InvalidArgument},
	}
}

// newStrangers has strangers call the plugin at the address, whose certificates are in dir.
func newStrangers(address, dir, group string) (*strangers, error) {
	path := func(name string) string { return filepath.Join(dir, name) }
	ca, err := os.ReadFile(path("ca.crt"))
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(path("client.crt"), path("client.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	ctx, stop := context.WithCancel(context.Background())
	s := &strangers{stop: stop, refused: map[string]int{}}
	for _, one := range strangersOf(group) {
		config, host := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, net.IPv4(127, 0, 0, 2)
		if one.certified {
			config.Certificates, host = []tls.Certificate{certificate}, net.IPv4(127, 0, 0, 3)
		}
		from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: host}}
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return from.DialContext(ctx, "tcp", address)
			}))
		if err != nil {
			s.close()
			return nil, err
		}
		s.conns = append(s.conns, conn)
		s.running.Go(func() { s.keepCalling(ctx, one, conn) })
	}
	return s, nil
}

func (s *strangers) keepCalling(ctx context.Context, one stranger, conn *grpc.ClientConn) {
	again := time.NewTicker(strangerPause)
	defer again.Stop()
	for {
		err := one.call(ctx, conn)
		if ctx.Err() != nil {
			return
		}
		s.note(one, err)
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// note notes an answer. The plugin may be away, and busy with the questions of others.
func (s *strangers) note(one stranger, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch code := status.Code(err); {
	case code == one.want:
		s.refused[one.name]++
	case code != codes.Unavailable && code != codes.ResourceExhausted && s.wrong == nil:
		s.wrong = fmt.Errorf("a stranger %s got %s from the plugin (%v), want %s", one.name, code, err, one.want)
	}
}

// judged reports whether each stranger was refused often enough.
func (s *strangers) judged(context.Context) (bool, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range strangersOf("") {
		if s.refused[one.name] < leastRefusals {
			return false, fmt.Sprintf("refusals: %v", s.refused), s.wrong
		}
	}
	return true, "", s.wrong
}

func (s *strangers) close() {
	s.stop()
	s.running.Wait()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
}

// callStrangers brings strangers, or judges them and ends them.
func (s *script) callStrangers(args []string) error {
	if s.plugin == nil {
		return errPluginFirst
	}
	at := s.plugin
	switch {
	case len(args) == 1 && args[0] == "come" && at.strangers == nil:
		var err error
		at.strangers, err = newStrangers(at.link.to, s.dir, s.AWS.Groups()[0].Name)
		return err
	case len(args) == 1 && args[0] == "go" && at.strangers != nil:
		err := eventually(s.ctx, startTimeout, "each stranger to be refused", at.strangers.judged)
		at.strangers.close()
		at.strangers = nil
		return err
	}
	return errors.New("usage: strangers come | go, in turns")
}
