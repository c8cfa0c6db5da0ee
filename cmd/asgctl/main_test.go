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
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
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
	servers.Store(ts, server)
}

// servers are those that fakeaws has started last, by script.
var servers sync.Map // from *testscript.TestScript to *fakeaws.Server

func startAPI(ts *testscript.TestScript, _ bool, args []string) {
	server, err := fileapi.Start(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Defer(server.Close)
	kubeconfig := ts.MkAbs("kubeconfig")
	ts.Check(server.WriteKubeconfig(kubeconfig))
	ts.Setenv("KUBECONFIG", kubeconfig)
}

// record reads the account with the SDK and writes it as the AWS CLI prints it, but with unset members, and with EKS's names in upper case, too.
func record(ts *testscript.TestScript, _ bool, args []string) {
	awsclients.SetEnvironment()
	server, _ := servers.Load(ts)
	ctx := context.Background()
	clients, err := awsclient.New(ctx, awsclients.Options(server.(*fakeaws.Server)))
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
	write("auto-scaling-groups.json", groups)
	configurations, err := clients.AutoScaling.DescribeLaunchConfigurations(ctx, &autoscaling.DescribeLaunchConfigurationsInput{})
	ts.Check(err)
	write("launch-configurations.json", configurations)
	templates, err := clients.EC2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}})
	ts.Check(err)
	write("launch-template-versions.json", templates)
	images, err := clients.EC2.DescribeImages(ctx, &ec2.DescribeImagesInput{})
	ts.Check(err)
	write("images.json", images)
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
			nodegroups = append(nodegroups, map[string]any{"nodegroup": found.Nodegroup})
		}
	}
	write("nodegroups.json", nodegroups...)
}
