package lookup

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// startsWorld is an account with a group of instances that are in service.
type startsWorld struct {
	*Cache[Start]
	aws   *fakeaws.Server
	clock *clocktesting.FakeClock
	ids   []string
}

func newStartsWorld(t *testing.T, instances int, g fakeaws.AutoScalingGroup, network fakeaws.Network, auth func(context.Context) ([]string, error)) *startsWorld {
	if g.Name, g.Desired, g.Max = "g", instances, instances; g.LaunchTemplate == nil {
		g.LaunchTemplate = &fakeaws.LaunchTemplateRef{Name: "t"}
	}
	if g.Zones == nil {
		g.Zones = []string{"us-west-2a"}
	}
	server, api := served(t, fakeaws.Config{Network: network, AutoScalingGroups: []fakeaws.AutoScalingGroup{g},
		LaunchTemplates: []fakeaws.LaunchTemplate{{Name: "t", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: "m5.large", SecurityGroupIDs: []string{"sg-1", "sg-2"}}}},
			{Name: "xen", Versions: []fakeaws.LaunchTemplateVersion{{ImageID: "ami-1", InstanceType: "m4.large"}}}},
		AccessEntries: map[string][]string{"one": {"arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"}}})
	w := &startsWorld{aws: server, clock: clocktesting.NewFakeClock(time.Now())}
	w.Cache = NewStarts(api,
		Admission{Cluster: func() string { return "one" }, AWSAuth: auth,
			EKS: eks.New(eks.Options{Region: server.Region(), BaseEndpoint: awssdk.String(server.URL()), RetryMaxAttempts: 1, Credentials: anybody})}, w.clock)
	state, _ := server.Group("g")
	for _, i := range state.Instances {
		w.ids = append(w.ids, i.ID)
	}
	slices.Sort(w.ids)
	return w
}

func (w *startsWorld) look(t *testing.T) {
	t.Helper()
	w.Want(w.ids...)
	if err := w.lookUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mapped(context.Context) ([]string, error) { return []string{"arn:aws:iam::1:role/c"}, nil }

func TestStartOfAnInstanceIsLookedUp(t *testing.T) {
	w := newStartsWorld(t, 7, fakeaws.AutoScalingGroup{Impaired: "instance", Console: "booting\n\x1b[32mtoken=abc\x1b[0m\nready\n"}, fakeaws.Network{}, mapped)
	w.look(t)
	want := Start{State: "running", Check: "instance", AWSAuth: true, Entries: true, Console: []string{"booting", "token=***", "ready"},
		Roles: []string{"arn:aws:iam::1:role/c", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b"}}
	got, _ := w.Known().Of(w.ids[0])
	assert.Empty(t, cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Start{}, "Network")), "(-want +got)")
	last, _ := w.Known().Of(w.ids[6])
	assert.Truef(t, last.Console == nil, "console %q of the seventh instance, want five consoles only", last.Console)
	w.look(t) // within the age
	w.clock.Step(startsAge)
	w.look(t)
	after, _ := w.Known().Of(w.ids[0])
	assert.Truef(t, slices.Equal(after.Console, want.Console), "console %q later, want that it stays", after.Console)
	calls := w.aws.Calls()
	assert.Equal(t, "2 4 7", fmt.Sprint(calls["DescribeInstanceStatus"], calls["ListAccessEntries"], calls["GetConsoleOutput"]),
		"calls for status, pages of entries and console, one for each console")
}

// AWS refuses to show their latest output.
func TestInstanceWithoutNitroHasTheConsoleOfItsStart(t *testing.T) {
	w := newStartsWorld(t, 1, fakeaws.AutoScalingGroup{LaunchTemplate: &fakeaws.LaunchTemplateRef{Name: "xen"}, Console: "kernel panic"},
		fakeaws.Network{}, mapped)
	w.look(t)
	got, _ := w.Known().Of(w.ids[0])
	assert.Equal(t, []string{"kernel panic"}, got.Console)
}

// AWS answers for no instance of a call if it does not know one of them.
func TestUnknownInstanceLeavesTheStartsOfOthers(t *testing.T) {
	w := newStartsWorld(t, 1, fakeaws.AutoScalingGroup{}, fakeaws.Network{}, mapped)
	w.ids = append(w.ids, "i-0123456789abcdef0")
	w.look(t)
	got, known := w.Known().Of(w.ids[0])
	assert.Truef(t, known && slices.Contains(got.Roles, "arn:aws:iam::1:role/c"), "%+v (known: %t), want the roles that are let in", got, known)
}

// pagedStates has one instance a page.
type pagedStates struct{ StartsAPI }

func (pagedStates) DescribeInstanceStatus(_ context.Context, in *ec2.DescribeInstanceStatusInput,
	_ ...func(*ec2.Options)) (*ec2.DescribeInstanceStatusOutput, error) {
	at, _ := strconv.Atoi(awssdk.ToString(in.NextToken))
	out := &ec2.DescribeInstanceStatusOutput{InstanceStatuses: []ec2types.InstanceStatus{{InstanceId: &in.InstanceIds[at]}}}
	if at+1 < len(in.InstanceIds) {
		out.NextToken = awssdk.String(strconv.Itoa(at + 1))
	}
	return out, nil
}

func TestStatesOfAllPagesAreKnown(t *testing.T) {
	found := map[string]Start{}
	require.NoError(t, (&starts{api: pagedStates{}}).check(t.Context(), []string{"i-1", "i-2", "i-3"}, found))
	assert.Len(t, found, 3, "instances whose state is known")
}

func TestSystemCheckCountsBeforeTheInstances(t *testing.T) {
	w := newStartsWorld(t, 1, fakeaws.AutoScalingGroup{Impaired: "system"}, fakeaws.Network{}, mapped)
	for range 10 {
		w.look(t)
		got, _ := w.Known().Of(w.ids[0])
		require.Equal(t, "system", got.Check, "check, want the system's")
		w.clock.Step(startsAge)
	}
}

func TestDeniedLooksAtStartsLeaveTheOthers(t *testing.T) {
	w := newStartsWorld(t, 2, fakeaws.AutoScalingGroup{Console: "text"}, fakeaws.Network{}, mapped)
	for _, action := range []string{"DescribeInstanceStatus", "ListAccessEntries", "GetConsoleOutput", "DescribeInstances"} {
		w.aws.Deny(action)
	}
	w.look(t)
	want := Start{AWSAuth: true, Roles: []string{"arn:aws:iam::1:role/c"}}
	got, _ := w.Known().Of(w.ids[0])
	assert.Truef(t, cmp.Equal(want, got, cmpopts.EquateEmpty()), "(-want +got):\n%s", cmp.Diff(want, got))
}

func TestConsoleEndsWithoutSecrets(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"export DB_PASSWORD=hunter2 done", "export DB_PASSWORD=*** done"},
		{`"secretKey": "abc"`, `"secretKey": "***"`},
		{`"secretKey":"abc","size":3`, `"secretKey":"***","size":3`},
		{`echo "PASSWORD=\"hunter2\"" done`, `echo "PASSWORD=*** done`},
		{`password: "'hunter2'"`, `password: "***"`},
		{`X-Auth-Token: ""hunter2`, `X-Auth-Token: "***"`},
		{`PASSWORD="ab\"hunter2`, `PASSWORD=***`},
		{`{\"token\": \"hunter2\"} done`, `{\"token\": *** done`},
		{`PASSWORD='correct horse' done`, `PASSWORD='***' done`},
		{"Authorization: Bearer abc.def", "Authorization: ***"},
		{"password：hunter2", "password：***"},
		{"curl https://me:pw@host/path", "curl https***host/path"},
		{"key AKIAIOSFODNN7EXAMPLE", "key ***"},
		{`curl -H "DD-API-KEY: 0a1b2c" --api-key=d4`, `curl -H "DD-API-KEY: *** --api-key=***`},
		{"tailscale up --authkey=tskey-a1 ENCRYPTION_KEY=b2", "tailscale up --authkey=*** ENCRYPTION_KEY=***"},
		{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", "***"},
		{"blob QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xN end", "blob *** end"},
		{"[   12.3] kubelet: Unauthorized\x07", "[   12.3] kubelet: Unauthorized"},
		{"+ curl -u admin:hunter2 https://host/path", "+ curl -u *** https://host/path"},
		{`+ curl -u 'admin:correct horse' https://host/path`, "+ curl -u *** https://host/path"},
		{"+ agent --url=https://host/path --upstream=a:b", "+ agent --url=https://host/path --upstream=a:b"},
		{"+ curl --user=admin:hunter2 https://host/path", "+ curl --user=*** https://host/path"},
		{"+ journalctl -u kubelet", "+ journalctl -u kubelet"},
		{`{"auths":{"registry":{"auth": "dXNlcjpwYXNz"}}}`, `{"auths":{"registry":{"auth": "***"}}}`},
		{"_auth=dXNlcjpwYXNz", "_auth=***"},
		{"export DB_PASS=hunter2 PASSPHRASE=hunter2 MYSQL_PWD=hunter2", "export DB_PASS=*** PASSPHRASE=*** MYSQL_PWD=***"},
		{"SSH_PRIVATE_KEY=hunter2", "SSH_PRIVATE_KEY=***"},
		{"GH_PAT=hunter2", "GH_PAT=***"},
		{"git clone ghp_abcdefghij0123456789", "git clone ***"},
		{"slack xoxb-12-ab", "slack ***"},
		{"POST https://hooks.slack.com/services/T0/B0/x", "POST https://***"},
		{"authentication succeeded for core", "authentication succeeded for core"},
		{"kubelet --anonymous-auth=false --path=/x", "kubelet --anonymous-auth=false --path=/x"},
		{"PASS_MAX_DAYS 99999", "PASS_MAX_DAYS 99999"},
		{"Pass 1: Checking inodes", "Pass 1: Checking inodes"},
		{"PATH=/usr/bin: a patch", "PATH=/usr/bin: a patch"},
	} {
		got := consoleEnd(tt.line + "\r\n")
		assert.Truef(t, slices.Equal(got, []string{tt.want}), "%q becomes %q, want %q", tt.line, got, tt.want)
	}
	got := consoleEnd("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb\n")
	assert.Truef(t, slices.Equal(got, []string{"a", "b"}), "a private key becomes %q", got)
	got = consoleEnd("a:\n- password: |-\n    hunter2\n\n    hunter3\n  \"ssh_private_key\": >\n    hunter4\n  user: b\nscript: |\n  c\n")
	assert.Equal(t, []string{"a:", "- password: ***", `"ssh_private_key": ***`, "user: b", "script: |", "c"}, got, "blocks of YAML")
	got = consoleEnd("10%\r20%\rauth=hunter2\rkubelet: Unauthorized\r")
	assert.Equal(t, []string{"10%", "20%", "auth=***", "kubelet: Unauthorized"}, got, "lines that end with a carriage return")
	assert.Len(t, consoleEnd(strings.Repeat("x\n", 100)), consoleLines, "lines")
}
