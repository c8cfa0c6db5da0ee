package plugin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"k8s.io/klog/v2"
)

// Files are the paths of the Server's certificate, of its key, and of the CA that signs certificates of callers. All are PEM.
type Files struct{ Cert, Key, ClientCA string }

// Check refuses files that do not suffice for the address. On a loopback address callers are on the same machine or in the same pod,
// and need no certificate.
func (f Files) Check(address string) error {
	host, _, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not like 127.0.0.1:8087: %w", address, err)
	case (f.Cert == "") != (f.Key == ""):
		return errors.New("a certificate needs its key, and a key its certificate")
	case f.ClientCA != "" && f.Cert == "":
		return errors.New("the CA of callers needs a certificate of the plugin, too")
	case f.ClientCA == "" && !loopback(host):
		return fmt.Errorf("%q can be reached from elsewhere: it needs a certificate, its key, and the CA of callers", address)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// config returns the TLS configuration, which reads the files anew for each connection. Files that cannot be used then, because
// somebody is writing them, leave the ones before in use.
func (f Files) config() (*tls.Config, error) {
	first, err := f.read()
	if err != nil {
		return nil, err
	}
	var last atomic.Pointer[tls.Config]
	last.Store(first)
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now, err := f.read()
		if err != nil {
			klog.ErrorS(err, "Kept the plugin's last certificate")
			return last.Load(), nil
		}
		last.Store(now)
		return now, nil
	}}, nil
}

func (f Files) read() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the plugin: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	if f.ClientCA == "" {
		return config, nil
	}
	text, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read the CA of callers: %w", err)
	}
	config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate of a CA", f.ClientCA)
	}
	return config, nil
}
