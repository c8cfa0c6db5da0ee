package awsmessage_test

import (
	"encoding/csv"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/awsmessage"
	"github.com/asg-autoscaler/asg-autoscaler/test/bench/costlimit"
)

// A row is one message from public sources with its meaning.
type row struct {
	kind, code, text string
	want             awsmessage.Meaning // class and pool only
}

// rows reads testdata/messages.csv. Its sources are in testdata/SOURCES.md.
func rows(t testing.TB) []row {
	file, err := os.Open("testdata/messages.csv")
	require.NoError(t, err)
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	var out []row
	for _, r := range records[1:] {
		out = append(out, row{kind: r[0], code: r[1], text: r[2], want: awsmessage.Meaning{
			Class: awsmessage.Class(r[3]), InstanceType: r[4], Zone: r[5], CapacityType: r[6],
		}})
	}
	return out
}

// pool returns the class and pool of a meaning, which must not change with the way a message is written.
func pool(m awsmessage.Meaning) awsmessage.Meaning {
	return awsmessage.Meaning{Class: m.Class, InstanceType: m.InstanceType, Zone: m.Zone, CapacityType: m.CapacityType}
}

func TestEveryKnownMessageIsUnderstood(t *testing.T) {
	known := rows(t)
	assert.Len(t, known, 207, "messages, want all 207")
	for _, r := range known {
		got := awsmessage.Of(r.code, r.text)
		assert.Emptyf(t, cmp.Diff(r.want, pool(got)), "%s %q %q (-want +got)", r.kind, r.code, r.text)
		assert.Truef(t, r.code == "" || got.Code == r.code, "%q %q: code %q", r.code, r.text, got.Code)
	}
}

// TestWordsAroundAWSsAreNoCause has errors without an answer of AWS, as the SDK and this program write them.
func TestWordsAroundAWSsAreNoCause(t *testing.T) {
	const call = "operation error Auto Scaling: SetDesiredCapacity, exceeded maximum number of attempts, 3, https response error StatusCode: "
	for _, text := range []string{
		call + "0, RequestID: , canceled, context deadline exceeded",
		call + `0, RequestID: , request send failed, Post "https://autoscaling.us-east-1.amazonaws.com/": dial tcp: lookup autoscaling.us-east-1.amazonaws.com: no such host`,
		call + `0, RequestID: , request send failed, Post "https://autoscaling.example.com/": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
		`all or nothing: auto scaling group "a" cannot be launched synchronously: ` + call + "500",
		call + "502, RequestID: , error while deserializing xml error response: XML syntax error on line 7: element <hr> closed by </body>",
		`launch in us-east-1a of auto scaling group "a": the group cannot be scaled zone by zone now: its outcome is not known: ` + call + "500, RequestID: , " + call + "500",
	} {
		assert.Equal(t, awsmessage.Transient, awsmessage.Of("", text).Class, text)
	}
}

// alone is the class of the code alone. AWS uses some codes for so many faults that only the text identifies this one.
func (r row) alone() awsmessage.Class {
	switch {
	case strings.HasPrefix(r.code, "Validation"), strings.HasPrefix(r.code, "Invalid"):
		return awsmessage.Configuration
	case r.code == "AuthFailure":
		return awsmessage.Permission
	}
	return r.want.Class
}

func TestTheTextAloneTellsTheClass(t *testing.T) {
	for _, r := range rows(t) {
		if r.text == "" || r.want.Class == awsmessage.Unknown {
			continue
		}
		got := awsmessage.Of("", r.text)
		assert.Truef(t, got.Class == r.want.Class, "%q = %q, want %q", r.text, got.Class, r.want.Class)
	}
}

// Other endpoints than AWS give no code, and have words of their own.
func TestOtherWordsForALackOfCapacity(t *testing.T) {
	for text, want := range map[string]awsmessage.Class{
		"Spot capacity is not available in us-west-2a":                        awsmessage.NoCapacity,
		"Capacity not available for m5.large":                                 awsmessage.NoCapacity,
		"There is no available capacity":                                      awsmessage.NoCapacity,
		"Out of capacity":                                                     awsmessage.NoCapacity,
		"The instance type is not available in the requested zone":            awsmessage.Configuration,
		"Capacity reservation cr-1 is not available for other instance types": awsmessage.Configuration,
	} {
		assert.Equal(t, want, awsmessage.Of("", text).Class, text)
	}
}

func TestTheCodeAloneTellsTheClass(t *testing.T) {
	for _, r := range rows(t) {
		if r.code == "" {
			continue
		}
		got := awsmessage.Of("", r.code)
		assert.Truef(t, got.Class == r.alone() && got.Code == r.code, "%q = %q with code %q, want %q", r.code, got.Class, got.Code, r.alone())
	}
}

func TestAnyWrappingLeavesTheMeaning(t *testing.T) {
	for _, wrap := range []struct {
		name string
		with func(code, text string) string
	}{
		{"log of the SDK", func(code, text string) string {
			return "set desired capacity of \"g\": operation error Auto Scaling: SetDesiredCapacity, https response error StatusCode: 400, " +
				"RequestID: 5e0e6a2f-8ff7-4a33-8c4f-d5b6dd2e7c0a, api error " + code + ": " + text
		}},
		{"AWS CLI", func(code, text string) string {
			return "An error occurred (" + code + ") when calling the LaunchInstances operation: " + text
		}},
		{"older SDK", func(code, text string) string {
			return code + ": " + text + "\n\tstatus code: 400, request id: 5e0e6a2f-8ff7-4a33-8c4f-d5b6dd2e7c0a"
		}},
		{"termination", func(code, text string) string {
			return "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: " + code + ": " + text
		}},
		{"side by side", func(code, text string) string { return code + " " + text }},
		{"status message", func(code, text string) string { return code + " - " + text + " Launching EC2 instance failed." }},
	} {
		t.Run(wrap.name, func(t *testing.T) {
			for _, r := range rows(t) {
				if r.kind == "scaling-activity" || r.code == "" {
					continue
				}
				line := wrap.with(r.code, r.text)
				got := awsmessage.Of("", line)
				assert.Emptyf(t, cmp.Diff(r.want, pool(got)), "%q (-want +got)", line)
			}
		})
	}
}

func TestOtherNamesLeaveTheClass(t *testing.T) {
	type replacement struct {
		pattern *regexp.Regexp
		with    string
	}
	zone, size := replacement{regexp.MustCompile(`[a-z]{2}-[a-z]+-\d[a-z]\b`), "cn-northwest-1b"}, replacement{regexp.MustCompile(`\b[a-z]+\d[a-z]*\.(?:\d*x*large|nano|micro|small|medium)\b`), "u-6tb1.112xlarge"}
	for _, r := range rows(t) {
		text := zone.pattern.ReplaceAllString(size.pattern.ReplaceAllString(r.text, size.with), zone.with)
		got := awsmessage.Of(r.code, text+" (Request ID: 5e0e6a2f-8ff7-4a33-8c4f-d5b6dd2e7c0a)")
		want := r.want
		if want.InstanceType != "" {
			want.InstanceType = size.with
		}
		if want.Zone != "" {
			want.Zone = zone.with
		}
		assert.Emptyf(t, cmp.Diff(want, pool(got)), "%q (-want +got)", text)
	}
}

// TestCutTextKeepsItsMeaning cuts every message short. The rest may say less, but nothing else. With a vague code, only the
// code's meaning may remain.
func TestCutTextKeepsItsMeaning(t *testing.T) {
	const step = 11 // bytes, the rows begin at different ones
	for i, r := range rows(t) {
		less := awsmessage.Of(r.code, "").Class
		require.Truef(t, less == awsmessage.Unknown || less == r.alone(), "code %q alone = %q, want %q", r.code, less, r.alone())
		for n := i % step; n < len(r.text); n += step {
			cut := r.text[:n]
			got := awsmessage.Of(r.code, cut)
			assert.Truef(t, got.Class == r.want.Class || got.Class == less || got.Class == awsmessage.Unknown,
				"%q %q = %q, want %q", r.code, cut, got.Class, r.want.Class)
			assert.Truef(t, got.InstanceType == "" || got.InstanceType == r.want.InstanceType || r.want.InstanceType != "", "%q names %q", cut, got.InstanceType)
			assert.Truef(t, got.CapacityType == "" || got.CapacityType == r.want.CapacityType, "%q names %q, want %q", cut, got.CapacityType, r.want.CapacityType)
		}
	}
}

func TestAMessageNamesItsPool(t *testing.T) {
	for _, tt := range []struct {
		name, code, text string
		want             awsmessage.Meaning
	}{
		{
			"zones elsewhere are not the one that failed", "", "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not " +
				"have sufficient t3.xlarge capacity in the Availability Zone you requested (us-west-1c). Our system will be working on provisioning " +
				"additional capacity. You can currently get t3.xlarge capacity by not specifying an Availability Zone in your request or choosing " +
				"us-west-1a, us-west-1b. Launching EC2 instance failed.",
			awsmessage.Meaning{
				Class: awsmessage.NoCapacity, Code: "InsufficientInstanceCapacity", InstanceType: "t3.xlarge", Zone: "us-west-1c",
				CapacityType: awsmessage.OnDemand,
			},
		},
		{
			"Local Zone, odd family", "Unsupported", "Your requested instance type (mac2-m2pro.metal) is not supported in your requested Availability Zone (us-west-2-lax-1a).",
			awsmessage.Meaning{Class: awsmessage.Configuration, Code: "Unsupported", InstanceType: "mac2-m2pro.metal", Zone: "us-west-2-lax-1a"},
		},
		{
			"European Sovereign Cloud", "Unsupported", "Your requested instance type (m5.large) is not supported in your requested Availability Zone (eusc-de-east-1a).",
			awsmessage.Meaning{Class: awsmessage.Configuration, Code: "Unsupported", InstanceType: "m5.large", Zone: "eusc-de-east-1a"},
		},
		{
			"Wavelength Zone and GovCloud", "", "nothing in us-gov-west-1a and us-east-1-wl1-bos-wlz-1",
			awsmessage.Meaning{},
		},
		{
			"one Wavelength Zone", "InsufficientInstanceCapacity", "(us-east-1-wl1-bos-wlz-1)",
			awsmessage.Meaning{Class: awsmessage.NoCapacity, Code: "InsufficientInstanceCapacity", Zone: "us-east-1-wl1-bos-wlz-1"},
		},
		{
			"names that people gave are not the pool", "AccessDenied", "User: arn:aws:sts::123456789012:assumed-role/ca-us-east-1a-m5.large/x is not authorized to " +
				"perform: autoscaling:SetDesiredCapacity on resource: arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/spot-us-east-1b",
			awsmessage.Meaning{Class: awsmessage.Permission, Code: "AccessDenied", Action: "autoscaling:SetDesiredCapacity"},
		},
		{
			"a code nobody has seen yet", "InsufficientQuantumCapacity", "",
			awsmessage.Meaning{Class: awsmessage.NoCapacity, Code: "InsufficientQuantumCapacity"},
		},
		{
			"a code that says nothing, with a text that does", "SomethingNew", "We currently do not have sufficient capacity.",
			awsmessage.Meaning{Class: awsmessage.NoCapacity, Code: "SomethingNew"},
		},
		{
			"permissions that are not sufficient are no lack of capacity", "", "The role does not have sufficient permissions to use the key.",
			awsmessage.Meaning{Class: awsmessage.Permission},
		},
		{
			"a limit on the rate of calls is no quota", "", "You have exceeded your API request rate limit.",
			awsmessage.Meaning{Class: awsmessage.Throttle},
		},
		{
			"a new code in a log", "", "operation error Auto Scaling: LaunchInstances, https response error StatusCode: 400, RequestID: 1, api error " +
				"MoonIsFull: come back tomorrow",
			awsmessage.Meaning{Code: "MoonIsFull"},
		},
		{"nothing known", "", "The moon is full. Launching EC2 instance failed.", awsmessage.Meaning{}},
		{"nothing", "", "", awsmessage.Meaning{}},
	} {
		assert.Emptyf(t, cmp.Diff(tt.want, awsmessage.Of(tt.code, tt.text)), "%s: (-want +got)", tt.name)
	}
}

func TestSentenceHasNoBoilerplate(t *testing.T) {
	const limit = "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket that the specified instance type belongs to."
	for _, tt := range []struct{ text, want string }{
		{"Could not launch On-Demand Instances. VcpuLimitExceeded - " + limit + " Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit. " +
			"Launching EC2 instance failed.", "VcpuLimitExceeded - " + strings.TrimSuffix(limit, ".")},
		{"Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InvalidKMSKey.InvalidState: Client.InvalidKMSKey.InvalidState: " +
			"The KMS key provided is in an incorrect state", "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state"},
		{"ValidationError: You must use a valid fully-formed launch template. The key pair 'x' does not exist", "ValidationError: The key pair 'x' does not exist"},
		{"To do so please visit https://aws.amazon.com/marketplace/pp?sku=1. Launching EC2 instance failed.", "To do so please visit https://aws.amazon.com/marketplace/pp?sku=1"},
		{"Launching EC2 instance failed.", "Launching EC2 instance failed."},
		{"", ""},
	} {
		assert.Equalf(t, tt.want, awsmessage.Sentence(tt.text), "Sentence(%q)", tt.text)
	}
	for _, r := range rows(t) { // what is left means the same
		if got, want := awsmessage.Of(r.code, awsmessage.Sentence(r.text)).Class, r.want.Class; got != want {
			t.Errorf("%q = %q, want %q", awsmessage.Sentence(r.text), got, want)
		}
	}
}

func TestFieldsOfALaunchErrorWinOverItsText(t *testing.T) {
	const text = "We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a)."
	for _, tt := range []struct {
		instanceType, zone, market string
		want                       awsmessage.Meaning
	}{
		{"", "", "", awsmessage.Meaning{InstanceType: "m5.large", Zone: "us-east-1a"}},
		{"m6i.large", "us-east-1b", "OnDemand", awsmessage.Meaning{InstanceType: "m6i.large", Zone: "us-east-1b", CapacityType: awsmessage.OnDemand}},
		{"m6i.large", "us-east-1b", "On-Demand", awsmessage.Meaning{InstanceType: "m6i.large", Zone: "us-east-1b", CapacityType: awsmessage.OnDemand}},
		{"m6i.large", "us-east-1b", "Spot", awsmessage.Meaning{InstanceType: "m6i.large", Zone: "us-east-1b", CapacityType: awsmessage.Spot}},
	} {
		tt.want.Class, tt.want.Code = awsmessage.NoCapacity, "InsufficientInstanceCapacity"
		got := awsmessage.OfLaunch("InsufficientInstanceCapacity", text, tt.instanceType, tt.zone, tt.market)
		assert.Emptyf(t, cmp.Diff(tt.want, got), "%+v (-want +got)", tt)
	}
}

func FuzzOf(f *testing.F) {
	for _, r := range rows(f) {
		f.Add(r.code, r.text)
	}
	f.Add("\xff.", strings.Repeat("A - ", 5000))
	for _, part := range []string{"A", "Aaaaa.", "Aaaaa - ", " ", "us-east-1a ", "m5.large, ", "\xff"} {
		f.Add(strings.Repeat(part, 60_000/len(part)), strings.Repeat(part, 60_000/len(part)))
	}
	classes := []awsmessage.Class{awsmessage.Unknown, awsmessage.NoCapacity, awsmessage.Quota, awsmessage.SpotLimit, awsmessage.Configuration,
		awsmessage.Permission, awsmessage.Throttle, awsmessage.Transient, awsmessage.Cancelled}
	f.Fuzz(func(t *testing.T, code, text string) {
		var m awsmessage.Meaning
		costlimit.Check(t, func() { m = awsmessage.Of(code, text) })
		known := false
		for _, c := range classes {
			known = known || m.Class == c
		}
		assert.Truef(t, known, "class %q", m.Class)
		assert.Truef(t, m.CapacityType == "" || m.CapacityType == awsmessage.OnDemand || m.CapacityType == awsmessage.Spot, "capacity type %q", m.CapacityType)
		for _, word := range []string{m.Code, m.InstanceType, m.Zone, m.CapacityType, m.Action} {
			assert.Truef(t, len(word) <= 4096 && utf8.ValidString(word), "a word of %d bytes", len(word))
		}
		assert.Truef(t, len(m.InstanceType) <= 64 && len(m.Zone) <= 64, "out of bounds: %+v", m)
	})
}
