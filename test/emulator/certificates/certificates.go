package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime is how long certificates are valid. They begin an hour ago, so that a clock set back a little does no harm.
const lifetime = 30 * 24 * time.Hour

// A Pair is a certificate with its private key, both as PEM.
type Pair struct{ Certificate, Key []byte }

// An Authority signs certificates. Its own key exists in memory only.
type Authority struct {
	Certificate []byte // PEM
	parsed      *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority that signs itself.
func NewAuthority(name string) (*Authority, error) {
	a := &Authority{}
	own, err := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.Certificate = own.Certificate
	return a, err
}

// Server returns a certificate for the names and IP addresses by which clients reach a server.
func (a *Authority) Server(hosts ...string) (Pair, error) {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.sign(template)
}

// Client returns a certificate by which servers know a user in groups.
func (a *Authority) Client(user string, groups ...string) (Pair, error) {
	subject := pkix.Name{CommonName: user, Organization: groups}
	return a.sign(&x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// sign signs a certificate with a new key. The first one signs itself, and all others.
func (a *Authority) sign(template *x509.Certificate) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return Pair{}, fmt.Errorf("make a serial number: %w", err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(lifetime)
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	if a.parsed == nil {
		a.parsed, a.key = template, key
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, a.parsed, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign the certificate %q: %w", template.Subject.CommonName, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode the key of %q: %w", template.Subject.CommonName, err)
	}
	return Pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})}, nil
}

// WriteForPlugin writes ca.crt, the plugin's tls.crt and tls.key, and the core's client.crt and client.key into a directory. The core reaches the
// plugin on 127.0.0.1.
func WriteForPlugin(dir string) error {
	ca, err := NewAuthority("cluster-autoscaler-plugin-ca")
	if err != nil {
		return err
	}
	plugin, err := ca.Server("127.0.0.1")
	if err != nil {
		return err
	}
	core, err := ca.Client("cluster-autoscaler")
	if err != nil {
		return err
	}
	return Write(dir, map[string][]byte{"ca.crt": ca.Certificate, "tls.crt": plugin.Certificate, "tls.key": plugin.Key,
		"client.crt": core.Certificate, "client.key": core.Key})
}

// Write writes files into a directory, for their owner alone.
func Write(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
