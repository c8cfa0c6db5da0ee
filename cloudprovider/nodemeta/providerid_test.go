package nodemeta

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The formats as the AWS cloud provider and stock know them.
var (
	whole = regexp.MustCompile(`^aws:///([-0-9a-z]*)/([-0-9a-z]*)(?:/[-0-9a-z.]*)?$`)
	bare  = regexp.MustCompile(`^i-[-0-9a-z]+$`)
)

// ids are provider IDs, of nodes on EC2 and of others.
var ids = []string{"aws:///us-east-1a/i-0abc", "aws:////i-0abc", "aws:///i-0abc", "i-0abc", "aws:///us-east-1a/", "aws:///us-east-1a", "aws:///", "",
	"aws:///us-east-1a/abc/fargate-ip-10-0-0-1.ec2.internal", "aws:///us-east-1a/i-0abc/", "aws:///us-east-1a/i-0abc/x/y", "i-", "aws:///i-", "i-0ABC",
	"aws://us-east-1a/i-0abc", "gce://project/zone/i-0abc", "aws:///us-east-1a/i-0abc ", "aws:///us_east/i-0abc", "aws:///i-0abc/i-1", "aws:///us-east-1a/i.0",
	"aws:///us-east-1a/i-0abc\n", "aws:///us-east-1a/é", "aws:////"}

func TestProviderIDsAreReadAsTheirFormatsSay(t *testing.T) {
	for _, id := range ids {
		compare(t, id)
	}
}

func FuzzInstance(f *testing.F) {
	for _, id := range ids {
		f.Add(id)
	}
	f.Fuzz(compare)
}

func compare(t *testing.T, id string) {
	wantZone, want := "", ""
	if match := whole.FindStringSubmatch(id); match != nil {
		wantZone, want = match[1], match[2]
	}
	alone := id
	if len(id) >= len(ProviderIDPrefix) && id[:len(ProviderIDPrefix)] == ProviderIDPrefix {
		alone = id[len(ProviderIDPrefix):]
	}
	if bare.MatchString(alone) {
		want = alone
	}
	got, ok := Instance(id)
	assert.Truef(t, got == want && ok == (want != ""), "Instance(%q) = %q, %t, want %q", id, got, ok, want)
	assert.Equalf(t, wantZone, Zone(id), "Zone(%q)", id)
}
