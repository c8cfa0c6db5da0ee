package recipes

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/repo/chart"
)

// exampleDir is the example for Terraform.
const exampleDir = root + "/manifests/terraform"

// These types are the part of the providers for AWS (version 6) and Helm (version 3) that the example uses beside the snippets' part, by their
// documents. Any other argument is an error.
type (
	tfPolicy struct {
		Name   string `json:"name"`
		Policy string `json:"policy"`
	}
	tfRole struct {
		Name  string `json:"name"`
		Trust string `json:"assume_role_policy"`
	}
	tfAttachment struct {
		Role   string `json:"role"`
		Policy string `json:"policy_arn"`
	}
	tfHelmRelease struct {
		Name      string   `json:"name"`
		Namespace string   `json:"namespace"`
		Chart     string   `json:"chart"`
		Values    []string `json:"values"`
		DependsOn []string `json:"depends_on"`
	}
	tfHelmProvider struct {
		Kubernetes struct {
			Host string `json:"host"`
			CA   string `json:"cluster_ca_certificate"`
			Exec struct {
				APIVersion string   `json:"api_version"`
				Command    string   `json:"command"`
				Args       []string `json:"args"`
			} `json:"exec"`
		} `json:"kubernetes"`
	}
	tfNamed struct { // data sources
		Name string `json:"name"`
	}
	tfInterruption struct {
		Source  string `json:"source"`
		Cluster string `json:"cluster_name"`
	}
	tfSettings struct {
		Version   string `json:"required_version"`
		Providers []map[string]struct {
			Source  string `json:"source"`
			Version string `json:"version"`
		} `json:"required_providers"`
	}
)

// The example as Terraform would plan it.
type example struct {
	policy       tfPolicy
	role         tfRole
	attached     []string
	interruption tfInterruption
	groups       map[string]tfGroup
	releases     map[string]tfHelmRelease
	account      fakeaws.Config
}

// Values of the references in the example, which AWS or another resource gives.
const (
	exampleRole  = "arn:aws:iam::123456789012:role/eksworkshop-cluster-autoscaler"
	exampleQueue = "https://sqs.us-west-2.amazonaws.com/123456789012/eksworkshop-interruptions"
	exampleOIDC  = "oidc.eks.us-west-2.amazonaws.com/id/ABCD"
)

func readExample(t *testing.T) example {
	text, err := os.ReadFile(filepath.Join(exampleDir, "main.tf"))
	require.NoError(t, err)
	cluster := variables["data"].(map[string]any)["aws_eks_cluster"].(map[string]any)["this"].(map[string]any)
	known := map[string]any{"version": cluster["version"], "endpoint": cluster["endpoint"], "certificate_authority": cluster["certificate_authority"],
		"kubernetes_network_config": cluster["kubernetes_network_config"],
		"identity":                  []any{map[string]any{"oidc": []any{map[string]any{"issuer": "https://" + exampleOIDC}}}}}
	blocks, err := blocksOf(string(text), map[string]any{
		"path": map[string]any{"module": exampleDir},
		"var": map[string]any{"cluster_name": "eksworkshop", "region": "us-west-2", "subnet_ids": []any{"us-west-2a", "us-west-2b"},
			"image_repository": "registry.example.com/autoscaler", "image_tag": "pushed"},
		"data": map[string]any{"aws_eks_cluster": map[string]any{"this": known},
			"aws_caller_identity": map[string]any{"current": map[string]any{"account_id": "123456789012"}},
			"aws_partition":       map[string]any{"current": map[string]any{"partition": "aws", "dns_suffix": "amazonaws.com"}}},
		"aws_iam_role":   map[string]any{"autoscaler": map[string]any{"name": "autoscaler", "arn": exampleRole}},
		"aws_iam_policy": map[string]any{"autoscaler": map[string]any{"arn": "own"}},
		"module":         map[string]any{"interruption": map[string]any{"queue_url": exampleQueue, "consumer_policy_arn": "queue's"}},
	})
	require.NoError(t, err)
	e := example{groups: map[string]tfGroup{}, releases: map[string]tfHelmRelease{}}
	for _, b := range blocks {
		assert.NoErrorf(t, e.add(b), "%s %s", b.Type, strings.Join(b.Labels, "."))
	}
	return e
}

func (e *example) add(b tfBlock) (err error) {
	kind := strings.Join(append([]string{b.Type}, b.Labels[:min(1, len(b.Labels))]...), " ")
	switch kind {
	case "terraform":
		_, err = decode[tfSettings](b.Body)
	case "provider helm":
		_, err = decode[tfHelmProvider](b.Body)
	case "data aws_partition", "data aws_caller_identity":
		_, err = decode[struct{}](b.Body)
	case "data aws_eks_cluster", "data aws_ssm_parameter":
		_, err = decode[tfNamed](b.Body)
	case "module interruption":
		e.interruption, err = decode[tfInterruption](b.Body)
	case "resource aws_iam_policy":
		e.policy, err = decode[tfPolicy](b.Body)
	case "resource aws_iam_role":
		e.role, err = decode[tfRole](b.Body)
	case "resource aws_iam_role_policy_attachment":
		var a tfAttachment
		a, err = decode[tfAttachment](b.Body)
		e.attached = append(e.attached, a.Role+": "+a.Policy)
	case "resource helm_release":
		e.releases[b.Labels[1]], err = decode[tfHelmRelease](b.Body)
	case "resource aws_autoscaling_group":
		if e.groups[b.Labels[1]], err = decode[tfGroup](b.Body); err == nil {
			err = b.addTo(&e.account)
		}
	default: // what the snippets of the recipes have, too
		err = b.addTo(&e.account)
	}
	return err
}

func TestExampleGivesTheShippedPolicies(t *testing.T) {
	e := readExample(t)
	shipped := func(name string, with ...string) any {
		raw, err := os.ReadFile(filepath.Join(root, "manifests", "iam", name))
		require.NoError(t, err)
		return parsedJSON(t, strings.NewReplacer(with...).Replace(string(raw)))
	}
	assert.Empty(t, cmp.Diff(shipped("policy-aws.json", "CLUSTER_NAME", "eksworkshop"), parsedJSON(t, e.policy.Policy)),
		"policy (-manifests/iam +example)")
	want := shipped("trust-irsa-aws.json", "ACCOUNT_ID", "123456789012", "REGION", "us-west-2", "OIDC_ID", "ABCD")
	assert.Empty(t, cmp.Diff(want, parsedJSON(t, e.role.Trust)), "trust policy (-manifests/iam +example)")
	slices.Sort(e.attached)
	assert.Empty(t, cmp.Diff([]string{"autoscaler: own", "autoscaler: queue's"}, e.attached), "policies of the role (-want +got)")
	raw, err := os.ReadFile(filepath.Join(exampleDir, e.interruption.Source, "main.tf.json")) // manifests/interruption_test.go compares it
	require.NoError(t, err)
	var module struct{ Variable, Output map[string]any }
	require.NoError(t, json.Unmarshal(raw, &module))
	assert.Truef(t, module.Variable["cluster_name"] != nil && module.Output["queue_url"] != nil && module.Output["consumer_policy_arn"] != nil && e.interruption.Cluster == cluster,
		"the module of the queue has other variables and outputs, or gets cluster %q", e.interruption.Cluster)
}

func parsedJSON(t *testing.T, text string) any {
	var value any
	require.NoErrorf(t, json.Unmarshal([]byte(text), &value), "in %s", text)
	return value
}

// Terraform leaves each group's desired capacity to the autoscaler, which finds the group and knows its nodes from zero.
func TestExampleLeavesDesiredCapacityToTheAutoscaler(t *testing.T) {
	e := readExample(t)
	require.True(t, len(e.groups) != 0, "no group")
	for label, g := range e.groups {
		assert.Truef(t, len(g.Lifecycle) == 1 && slices.Equal(g.Lifecycle[0].Ignored, []string{"desired_capacity"}),
			"aws_autoscaling_group.%s: lifecycle %+v", label, g.Lifecycle)
	}
	pointTo(t, e.account)
	groups := asgctl(t, "groups", "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/"+cluster)
	for _, g := range e.groups {
		assert.Containsf(t, groups, g.Name, "the autoscaler does not find group %s", g.Name)
		assert.Containsf(t, asgctl(t, "template", g.Name), "team", "nobody knows the label of a node of group %s", g.Name)
	}
}

// A cluster of IPv6 has no range of IPv4, and nodeadm refuses a NodeConfig without a range.
func TestNodesOfIPv6ClustersKnowTheRangeOfServices(t *testing.T) {
	cluster := variables["data"].(map[string]any)["aws_eks_cluster"].(map[string]any)["this"].(map[string]any)
	network := cluster["kubernetes_network_config"].([]any)[0].(map[string]any)
	before := maps.Clone(network)
	network["service_ipv4_cidr"], network["service_ipv6_cidr"] = nil, "fd30:1c53:5f8a::/108"
	t.Cleanup(func() { maps.Copy(network, before) })
	_, shared := recipes(t)
	own, err := accountOf(shared + `resource "aws_launch_template" "web" { user_data = local.cluster }`)
	require.NoError(t, err)
	for name, account := range map[string]fakeaws.Config{"the example": readExample(t).account, "the recipes": own} {
		require.Len(t, account.LaunchTemplates, 1)
		assert.Containsf(t, account.LaunchTemplates[0].Versions[0].UserData, `"cidr":"fd30:1c53:5f8a::/108"`, "user data of %s", name)
	}
}

// The release runs the image with the role and the queue, under the name that the role trusts.
func TestExampleReleasesTheChart(t *testing.T) {
	e := readExample(t)
	release := e.releases["autoscaler"]
	if _, err := os.Stat(filepath.Join(e.releases["definitions"].Chart, "Chart.yaml")); err != nil || !slices.Contains(release.DependsOn, "helm_release.definitions") {
		t.Errorf("the definitions do not come first: %v, %q", err, release.DependsOn)
	}
	helm, err := chart.Helm(t.Context(), root, "v4")
	require.NoError(t, err)
	values := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(values, []byte(release.Values[0]), 0o600))
	out, err := exec.CommandContext(t.Context(), helm, "template", release.Name, release.Chart, "--namespace", release.Namespace, "--kube-version=1.35", "--values", values).CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	for _, want := range []string{"--asg-interruption-queue=" + exampleQueue, `"eks.amazonaws.com/role-arn": "` + exampleRole + `"`, "registry.example.com/autoscaler:pushed",
		"asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/eksworkshop", "serviceAccountName: cluster-autoscaler\n"} {
		assert.Containsf(t, string(out), want, "the release lacks %q:\n%s", want, out)
	}
}
