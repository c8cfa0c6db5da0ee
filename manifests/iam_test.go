package manifests_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/manifests"
)

// policy is the part of an IAM policy document that these tests judge.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid, Effect string
	Action      []string
	Resource    string
	Condition   map[string]map[string]string
}

func read(t *testing.T, name string) string {
	raw, err := manifests.FS.ReadFile(name)
	require.NoError(t, err)
	return string(raw)
}

func readPolicy(t *testing.T, name string) policy {
	var p policy
	decoder := json.NewDecoder(strings.NewReader(read(t, name)))
	decoder.DisallowUnknownFields()
	require.NoErrorf(t, decoder.Decode(&p), "%s", name)
	return p
}

func TestIAMDocumentsAreJSON(t *testing.T) {
	names, err := fs.Glob(manifests.FS, "iam/*.json")
	require.Truef(t, err == nil && len(names) != 0, "no IAM documents found: %v", err)
	for _, name := range names {
		assert.Truef(t, json.Valid([]byte(read(t, name))), "%s is not valid JSON", name)
	}
}

func TestPartitionsDifferOnlyInTheirNames(t *testing.T) {
	for partition, toAWS := range map[string]*strings.Replacer{
		"aws-cn":     strings.NewReplacer("arn:aws-cn:", "arn:aws:", ".amazonaws.com.cn/", ".amazonaws.com/"),
		"aws-us-gov": strings.NewReplacer("arn:aws-us-gov:", "arn:aws:"),
	} {
		for _, kind := range []string{"policy", "interruption", "shadow", "trust-irsa"} {
			there := read(t, "iam/"+kind+"-"+partition+".json")
			assert.NotContainsf(t, there, "arn:aws:", "%s for %s names an ARN of another partition", kind, partition)
			assert.Emptyf(t, cmp.Diff(read(t, "iam/"+kind+"-aws.json"), toAWS.Replace(there)), "%s differs between the partitions (-aws +%s)", kind, partition)
		}
	}
}

// An operator deletes a statement to take a feature away. The first two statements are needed.
func TestOptionalStatementsHaveOneActionEach(t *testing.T) {
	for n, s := range readPolicy(t, "iam/policy-aws.json").Statement {
		optional := strings.HasPrefix(s.Sid, "Optional")
		assert.Truef(t, optional == (n > 1) && (!optional || len(s.Action) == 1), "statement %d, %s, allows %q", n+1, s.Sid, s.Action)
	}
}

// A shadow has the reads of the policy, and nothing else.
func TestShadowMayReadAllAndWriteNothing(t *testing.T) {
	var reads []string
	for _, action := range actions(t, "iam/policy-aws.json") {
		if !writes(action) && action != "ec2:CreateFleet" {
			reads = append(reads, action)
		}
	}
	assert.Empty(t, cmp.Diff(reads, actions(t, "iam/shadow-aws.json")), "actions (-reads of policy-aws.json +shadow-aws.json)")
}

func TestWritesAreLimitedToOwnedGroups(t *testing.T) {
	owned := map[string]map[string]string{
		"StringEquals": {"aws:ResourceTag/k8s.io/cluster-autoscaler/CLUSTER_NAME": "owned"},
	}
	byAWSAlone := map[string]map[string]string{"Bool": {"aws:ViaAWSService": "true"}}
	for _, name := range []string{"iam/policy-aws.json", "iam/policy-aws-cn.json", "iam/interruption-aws.json", "iam/interruption-aws-cn.json",
		"iam/policy-aws-us-gov.json", "iam/interruption-aws-us-gov.json"} {
		for _, s := range readPolicy(t, name).Statement {
			for _, action := range s.Action {
				assert.NotContainsf(t, action, "*", "%s: %s allows %q; name each action", name, s.Sid, action)
			}
			if !slices.ContainsFunc(s.Action, writes) {
				continue
			}
			if slices.Equal(s.Action, []string{"ec2:CreateFleet"}) { // which Auto Scaling makes for the caller of LaunchInstances
				assert.Emptyf(t, cmp.Diff(byAWSAlone, s.Condition), "%s: %s can be used by others than AWS (-want +got)", name, s.Sid)
				continue
			}
			assert.Truef(t, s.Resource != "*", "%s: %s allows writes on every resource", name, s.Sid)
			if strings.HasPrefix(s.Action[0], "sqs:") { // on the cluster's own queue, which has no tag that a condition could look at
				assert.Truef(t, strings.HasSuffix(s.Resource, ":sqs:REGION:ACCOUNT_ID:CLUSTER_NAME-interruptions") && !slices.ContainsFunc(s.Action, notSQS),
					"%s: %s allows more than one queue, or more than SQS", name, s.Sid)
				continue
			}
			assert.Emptyf(t, cmp.Diff(owned, s.Condition), "%s: %s allows writes under another condition than the owned tag (-want +got)", name, s.Sid)
		}
	}
}

// A console shows what user data prints. So the permission is for instances of Auto Scaling groups alone.
func TestConsolesAreOfInstancesInGroups(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		for _, kind := range []string{"policy", "shadow"} {
			statements := readPolicy(t, "iam/"+kind+"-"+partition+".json").Statement
			at := slices.IndexFunc(statements, func(s statement) bool { return slices.Contains(s.Action, "ec2:GetConsoleOutput") })
			require.GreaterOrEqual(t, at, 0)
			assert.Equal(t, "arn:"+partition+":ec2:*:*:instance/*", statements[at].Resource)
			assert.Equal(t, map[string]map[string]string{"StringLike": {"aws:ResourceTag/aws:autoscaling:groupName": "*"}}, statements[at].Condition)
		}
	}
}

// The EKS user guide gives the principals and the conditions ("Assign IAM roles to Kubernetes service accounts" and "Create IAM
// role with trust policy required by EKS Pod Identity", read 2026-11). Both partitions have the same service principal of Pod Identity
// and the same audience.
func TestRolesTrustTheServiceAccountAlone(t *testing.T) {
	type document struct {
		Version   string
		Statement []struct {
			Effect    string
			Principal map[string]string
			Action    any
			Condition map[string]map[string]string
		}
	}
	irsa := func(partition, suffix string) string {
		provider := "oidc.eks.REGION.amazonaws." + suffix + "/id/OIDC_ID"
		return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "arn:` + partition + `:iam::ACCOUNT_ID:oidc-provider/` + provider + `"},
			"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"` + provider + `:aud": "sts.amazonaws.com",
			"` + provider + `:sub": "system:serviceaccount:kube-system:cluster-autoscaler"}}}]}`
	}
	for name, want := range map[string]string{
		"trust-irsa-aws":        irsa("aws", "com"),
		"trust-irsa-aws-cn":     irsa("aws-cn", "com.cn"),
		"trust-irsa-aws-us-gov": irsa("aws-us-gov", "com"),
		"trust-pod-identity": `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
			"Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": {"StringEquals": {"aws:RequestTag/eks-cluster-name": "CLUSTER_NAME",
			"aws:RequestTag/kubernetes-namespace": "kube-system", "aws:RequestTag/kubernetes-service-account": "cluster-autoscaler"}}}]}`,
	} {
		parse := func(text string) (d document) {
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.DisallowUnknownFields()
			require.NoErrorf(t, decoder.Decode(&d), "%s", name)
			return d
		}
		assert.Emptyf(t, cmp.Diff(parse(want), parse(read(t, "iam/"+name+".json"))), "%s (-want +got)", name)
	}
}

// writes reports whether an action changes something. By AWS's naming the others begin with Describe, Get or List.
func writes(action string) bool {
	_, verb, _ := strings.Cut(action, ":")
	return !strings.HasPrefix(verb, "Describe") && !strings.HasPrefix(verb, "Get") && !strings.HasPrefix(verb, "List")
}

func notSQS(action string) bool { return !strings.HasPrefix(action, "sqs:") }

// sdkInput matches the input type of an SDK call. Each service's package is named as its IAM prefix is.
var sdkInput = regexp.MustCompile(`\b(arczonalshift|autoscaling|ec2|eks|sqs|ssm|sts|pricing)\.(\w+)Input\b`)

// diagnosis is the call of asgctl doctor alone. It says which permission it needs where an operator lacks it.
const diagnosis = "sqs:GetQueueAttributes"

func TestEveryCallTheProductMakesIsAllowed(t *testing.T) {
	allowed := append(actions(t, "iam/policy-aws.json"), actions(t, "iam/interruption-aws.json")...)
	called := calledActions(t, "../cloudprovider", "../cmd", "../expander", "../pricing")
	require.Contains(t, called, "arc-zonal-shift:ListManagedResources")
	for action, file := range called {
		if doctor := strings.HasPrefix(file, "../cmd/asgctl/doctor/"); doctor && action == diagnosis {
			continue
		}
		assert.Truef(t, slices.Contains(allowed, action),
			"%s calls %s, which neither iam/policy-aws.json nor iam/interruption-aws.json allows", file, action)
	}
}

// Who goes back to the stock autoscaler keeps the policy. It calls less than its documents ask for.
func TestEveryCallOfStockIsAllowed(t *testing.T) {
	module, err := exec.Command("go", "list", "-m", "-f={{.Dir}}", "k8s.io/autoscaler/cluster-autoscaler").Output()
	require.NoError(t, err)
	called := calledActions(t, filepath.Join(strings.TrimSpace(string(module)), "cloudprovider", "aws"))
	_, found := called["autoscaling:SetDesiredCapacity"]
	require.Truef(t, found, "no calls of the stock provider were found, but %q", called)
	for action, file := range called {
		assert.Truef(t, slices.Contains(actions(t, "iam/policy-aws.json"), action),
			"%s calls %s, which iam/policy-aws.json does not allow", file, action)
	}
}

// actions are all actions that a policy allows.
func actions(t *testing.T, name string) []string {
	var all []string
	for _, s := range readPolicy(t, name).Statement {
		all = append(all, s.Action...)
	}
	return all
}

// calledActions lists the IAM actions behind the SDK calls in the directories' code, each with one file that makes the call.
func calledActions(t *testing.T, dirs ...string) map[string]string {
	called := map[string]string{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == "aws-sdk-go" {
				return fs.SkipDir
			}
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, match := range sdkInput.FindAllStringSubmatch(string(source), -1) {
				action := match[2]
				if match[1] == "sqs" { // whose batches need the right to the single action
					action = strings.TrimSuffix(action, "Batch")
				}
				called[strings.ReplaceAll(match[1], "arczonalshift", "arc-zonal-shift")+":"+action] = path
			}
			return err
		})
		require.NoError(t, err)
	}
	return called
}
