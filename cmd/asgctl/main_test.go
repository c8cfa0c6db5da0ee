package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fileapi"
)

var update = flag.Bool("update", false, "rewrite the golden outputs in the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"asgctl": main, "kubectl-asg": main})
}

// TestScripts runs asgctl as an operator does: offline, and against an emulated AWS over HTTP. It adds these commands:
//
//	code N CMD…    as exec, and wants CMD to exit with N
//	fakeaws FILE   starts an emulated AWS with the account in FILE
//	api FILE       serves the objects of FILE as an API server, read-only, and sets KUBECONFIG
//	record DIR     writes the AWS CLI's output for it into DIR
//	offer FILE     writes an offer file of EC2, in JSON or CSV by FILE's name
//	cut FILE N     cuts the last N bytes off FILE
//	offers         starts a server of offer files
//	asked          waits until that server has sent half of an offer whose rest it will not send
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("AWS_ACCESS_KEY_ID", "test")
			env.Setenv("AWS_SECRET_ACCESS_KEY", "test")
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			env.Setenv("AWS_MAX_ATTEMPTS", "1")
			status, err := filepath.Abs(filepath.Join("testdata", "status.json"))
			env.Setenv("STATUS", status) // a report of a running autoscaler
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fakeaws": startAWS, "api": startAPI, "record": record, "code": code,
			"offer": writeOffer, "cut": cut, "offers": serveOffers, "asked": asked},
	})
}

func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code is %d, want %d", got, want)
	}
}

func startAWS(ts *testscript.TestScript, _ bool, args []string) {
	config, err := fakeaws.LoadConfig(ts.MkAbs(args[0]))
	ts.Check(err)
	server, err := fakeaws.Start(context.Background(), config)
	ts.Check(err)
	ts.Defer(func() { _ = server.Close() })
	ts.Setenv("AWS_ENDPOINT_URL", server.URL())
	ts.Setenv("AWS_REGION", server.Region())
}

func startAPI(ts *testscript.TestScript, _ bool, args []string) {
	server, err := fileapi.Start(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Defer(server.Close)
	kubeconfig := ts.MkAbs("kubeconfig")
	ts.Check(server.WriteKubeconfig(kubeconfig))
	ts.Setenv("KUBECONFIG", kubeconfig)
}

// record reads the account with the SDK and writes it as the AWS CLI prints it: with the API's own names, and without unset
// members. The SDK's fields have these names, except for EKS, whose names begin in lower case.
func record(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		before, had := os.LookupEnv(name)
		ts.Check(os.Setenv(name, ts.Getenv(name)))
		defer func() {
			if had {
				_ = os.Setenv(name, before)
			} else {
				_ = os.Unsetenv(name)
			}
		}()
	}
	ctx := context.Background()
	clients, err := awsclient.New(ctx, awsclient.Options{})
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	write := func(file string, documents ...any) {
		var text []byte
		for _, d := range documents {
			one, err := json.MarshalIndent(d, "", "    ")
			ts.Check(err)
			text = append(append(text, one...), '\n')
		}
		ts.Check(os.WriteFile(filepath.Join(dir, file), text, 0o600))
	}
	groups, err := clients.AutoScaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	ts.Check(err)
	write("auto-scaling-groups.json", cli(groups))
	configurations, err := clients.AutoScaling.DescribeLaunchConfigurations(ctx, &autoscaling.DescribeLaunchConfigurationsInput{})
	ts.Check(err)
	write("launch-configurations.json", cli(configurations))
	templates, err := clients.EC2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}})
	ts.Check(err)
	write("launch-template-versions.json", cli(templates))
	images, err := clients.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{})
	ts.Check(err)
	write("images.json", cli(images))
	var nodegroups []any
	for _, g := range groups.AutoScalingGroups {
		in := &eks.DescribeNodegroupInput{}
		for _, t := range g.Tags {
			switch *t.Key {
			case "eks:cluster-name":
				in.ClusterName = t.Value
			case "eks:nodegroup-name":
				in.NodegroupName = t.Value
			}
		}
		if in.NodegroupName != nil {
			found, err := clients.EKS.DescribeNodegroup(ctx, in)
			ts.Check(err)
			nodegroups = append(nodegroups, lowerFirst(cli(found)))
		}
	}
	write("nodegroups.json", nodegroups...)
}

// cli returns a value of the SDK without unset members.
func cli(v any) map[string]any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	delete(out, "ResultMetadata")
	return withoutNulls(out).(map[string]any)
}

func withoutNulls(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutNulls(v[i])
		}
	case map[string]any:
		for key, member := range v {
			if member == nil || member == "" {
				delete(v, key)
				continue
			}
			v[key] = withoutNulls(member)
		}
	}
	return v
}

// lowerFirst gives the members of an EKS answer their names. The keys of labels and tags stay as they are.
func lowerFirst(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = lowerFirst(v[i])
		}
	case map[string]any:
		out := map[string]any{}
		for key, member := range v {
			name := strings.ToLower(key[:1]) + key[1:]
			if name != "labels" && name != "tags" {
				member = lowerFirst(member)
			}
			out[name] = member
		}
		return out
	}
	return v
}
