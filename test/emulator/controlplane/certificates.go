package controlplane

import (
	"crypto"
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
	"time"
)

// certificateLifetime is how long a cluster's certificates are valid. They are made anew for each cluster.
const certificateLifetime = 30 * 24 * time.Hour

// keyPair is a private key with its certificate, both as PEM.
type keyPair struct{ certificate, key []byte }

type authority struct {
	keyPair
	parsed *x509.Certificate
	signer crypto.Signer
}

// newAuthority makes a self-signed authority whose key exists in memory only.
func newAuthority() (*authority, error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificateFor(pkix.Name{CommonName: "controlplane"})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign authority: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &authority{keyPair: keyPair{certificate: certificate}, parsed: parsed, signer: signer}, nil
}

// server returns a certificate for services on this host's loopback address.
func (a *authority) server() (keyPair, error) {
	template, err := certificateFor(pkix.Name{CommonName: "127.0.0.1"})
	if err != nil {
		return keyPair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.DNSNames = []string{"localhost", "kubernetes.default.svc"}
	return a.sign(template)
}

// client returns a certificate that kube-apiserver accepts for the given user in the given groups.
func (a *authority) client(user string, groups ...string) (keyPair, error) {
	template, err := certificateFor(pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return keyPair{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

func (a *authority) sign(template *x509.Certificate) (keyPair, error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.parsed, signer.Public(), a.signer)
	if err != nil {
		return keyPair{}, fmt.Errorf("sign certificate of %q: %w", template.Subject.CommonName, err)
	}
	key, err := marshalKey(signer)
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: key}, nil
}

// certificateFor returns the common part of all certificates. They begin an hour ago, so that a clock set back a little while
// the cluster runs does no harm.
func certificateFor(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

// newTokenKeys returns the key that signs service account tokens and the public key that verifies them, as PEM.
func newTokenKeys() (private, public []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if private, err = marshalKey(signer); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, nil, err
	}
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

func marshalKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// writeKeys writes a cluster's authority, serving certificate and token keys, and returns the authority.
func writeKeys(l layout) (*authority, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	server, err := ca.server()
	if err != nil {
		return nil, err
	}
	private, public, err := newTokenKeys()
	if err != nil {
		return nil, err
	}
	for file, content := range map[string][]byte{
		"ca.crt":     ca.certificate,
		"server.crt": server.certificate,
		"server.key": server.key,
		"token.key":  private,
		"token.pub":  public,
	} {
		if err := os.WriteFile(l.key(file), content, 0o600); err != nil {
			return nil, err
		}
	}
	return ca, nil
}
