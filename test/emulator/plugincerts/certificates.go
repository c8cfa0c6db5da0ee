package plugincerts

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
	"time"
)

// Certificates let a plugin and the core know each other. They are PEM.
type Certificates struct {
	CA         []byte // signs the other two. Its key is forgotten
	Cert, Key  []byte // of the plugin
	ClientCert []byte // of the core
	ClientKey  []byte
}

// authority signs certificates.
type authority struct {
	cert     *x509.Certificate
	key      *ecdsa.PrivateKey
	from, to time.Time
}

// New makes certificates that are good from now on for so long. The hosts are the names and IP addresses by which the core
// reaches the plugin.
func New(now time.Time, validFor time.Duration, hosts ...string) (*Certificates, error) {
	// Clocks of machines differ.
	ca := &authority{from: now.Add(-time.Hour), to: now.Add(validFor)}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "cluster-autoscaler-plugin-ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	c := &Certificates{}
	var err error
	if c.CA, _, err = ca.sign(template); err != nil {
		return nil, err
	}
	server := &x509.Certificate{Subject: pkix.Name{CommonName: "cluster-autoscaler-plugin"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, host)
		}
	}
	if c.Cert, c.Key, err = ca.sign(server); err != nil {
		return nil, err
	}
	client := &x509.Certificate{Subject: pkix.Name{CommonName: "cluster-autoscaler"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	c.ClientCert, c.ClientKey, err = ca.sign(client)
	return c, err
}

// sign returns a certificate and its key. The first one signs itself, and all others.
func (a *authority) sign(template *x509.Certificate) (cert, key []byte, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.NotBefore, template.NotAfter = a.from, a.to
	template.KeyUsage |= x509.KeyUsageDigitalSignature
	if a.cert == nil {
		a.cert, a.key = template, own
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, a.cert, &own.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the certificate %q: %w", template.Subject.CommonName, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the key of %q: %w", template.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}
