package manifests_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// policy is the part of an IAM policy document that these tests judge.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  string
	Condition map[string]map[string]string
}

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := manifests.FS.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func readPolicy(t *testing.T, name string) policy {
	t.Helper()
	var p policy
	decoder := json.NewDecoder(strings.NewReader(read(t, name)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func TestIAMDocumentsAreJSON(t *testing.T) {
	names, err := fs.Glob(manifests.FS, "iam/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no IAM documents found: %v", err)
	}
	for _, name := range names {
		if !json.Valid([]byte(read(t, name))) {
			t.Errorf("%s is not valid JSON", name)
		}
	}
}

func TestPartitionsDifferOnlyInTheirNames(t *testing.T) {
	toAWS := strings.NewReplacer("arn:aws-cn:", "arn:aws:", ".amazonaws.com.cn/", ".amazonaws.com/")
	for _, kind := range []string{"policy", "interruption", "trust-irsa"} {
		china := read(t, "iam/"+kind+"-aws-cn.json")
		if strings.Contains(china, "arn:aws:") {
			t.Errorf("%s for aws-cn names an ARN of another partition", kind)
		}
		if diff := cmp.Diff(read(t, "iam/"+kind+"-aws.json"), toAWS.Replace(china)); diff != "" {
			t.Errorf("%s differs between the partitions (-aws +aws-cn):\n%s", kind, diff)
		}
	}
}

func TestWritesAreLimitedToOwnedGroups(t *testing.T) {
	owned := map[string]map[string]string{
		"StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/CLUSTER_NAME": "owned"},
	}
	byAWSAlone := map[string]map[string]string{"Bool": {"aws:ViaAWSService": "true"}}
	for _, name := range []string{"iam/policy-aws.json", "iam/policy-aws-cn.json", "iam/interruption-aws.json", "iam/interruption-aws-cn.json"} {
		for _, s := range readPolicy(t, name).Statement {
			for _, action := range s.Action {
				if strings.Contains(action, "*") {
					t.Errorf("%s: %s allows %q; name each action", name, s.Sid, action)
				}
			}
			if !slices.ContainsFunc(s.Action, writes) {
				continue
			}
			if slices.Equal(s.Action, []string{"ec2:CreateFleet"}) { // which Auto Scaling makes for the caller of LaunchInstances
				if diff := cmp.Diff(byAWSAlone, s.Condition); diff != "" {
					t.Errorf("%s: %s can be used by others than AWS (-want +got):\n%s", name, s.Sid, diff)
				}
				continue
			}
			if s.Resource == "*" {
				t.Errorf("%s: %s allows writes on every resource", name, s.Sid)
			}
			if strings.HasPrefix(s.Action[0], "sqs:") { // on the cluster's own queue, which has no tag that a condition could look at
				if !strings.HasSuffix(s.Resource, ":sqs:REGION:ACCOUNT_ID:CLUSTER_NAME-interruptions") || slices.ContainsFunc(s.Action, notSQS) {
					t.Errorf("%s: %s allows more than one queue, or more than SQS", name, s.Sid)
				}
				continue
			}
			if diff := cmp.Diff(owned, s.Condition); diff != "" {
				t.Errorf("%s: %s allows writes under another condition than the owned tag (-want +got):\n%s", name, s.Sid, diff)
			}
		}
	}
}

// writes reports whether an action changes something. By AWS's naming the others begin with Describe, Get or List.
func writes(action string) bool {
	_, verb, _ := strings.Cut(action, ":")
	return !strings.HasPrefix(verb, "Describe") && !strings.HasPrefix(verb, "Get") && !strings.HasPrefix(verb, "List")
}

func notSQS(action string) bool { return !strings.HasPrefix(action, "sqs:") }

// sdkInput matches the input type of an SDK call. Each service's package is named as its IAM prefix is.
var sdkInput = regexp.MustCompile(`\b(autoscaling|ec2|eks|sqs|sts|pricing)\.(\w+)Input\b`)

func TestEveryCallTheProductMakesIsAllowed(t *testing.T) {
	var allowed []string
	for _, name := range []string{"iam/policy-aws.json", "iam/interruption-aws.json"} {
		for _, s := range readPolicy(t, name).Statement {
			allowed = append(allowed, s.Action...)
		}
	}
	for action, file := range calledActions(t) {
		if !slices.Contains(allowed, action) {
			t.Errorf("%s calls %s, which neither iam/policy-aws.json nor iam/interruption-aws.json allows", file, action)
		}
	}
}

// calledActions lists the IAM actions behind the SDK calls in the product's code, each with one file that makes the call.
func calledActions(t *testing.T) map[string]string {
	t.Helper()
	called := map[string]string{}
	for _, dir := range []string{"cloudprovider", "cmd", "expander", "pricing"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, match := range sdkInput.FindAllStringSubmatch(string(source), -1) {
				action := match[2]
				if match[1] == "sqs" { // whose batches need the right to the single action
					action = strings.TrimSuffix(action, "Batch")
				}
				called[match[1]+":"+action] = path
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return called
}
