package recipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	provisioningv1 "k8s.io/autoscaler/cluster-autoscaler/apis/provisioningrequest/autoscaling.x-k8s.io/v1"
	strictyaml "sigs.k8s.io/yaml"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/awsclients"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

// A recipe is a document of docs/recipes.
type recipe struct {
	name string
	document.Page
}

// recipes returns the recipes, and the lines of Terraform that they share.
func recipes(t *testing.T) (found []recipe, shared string) {
	for _, page := range document.Pages(t, root) {
		if path.Dir(page.Path) != "docs/recipes" || strings.HasSuffix(page.Path, document.Translated) {
			continue // test/repo/translation compares the snippets
		}
		r := recipe{strings.TrimSuffix(path.Base(page.Path), ".md"), page}
		if r.name == "README" {
			shared = strings.Join(r.In("hcl"), "\n")
			continue
		}
		found = append(found, r)
	}
	require.Truef(t, len(found) >= 10 && shared != "", "%d recipes, shared lines %q", len(found), shared)
	return found, shared
}

// pointTo has asgctl ask an emulated AWS with the account.
func pointTo(t *testing.T, account fakeaws.Config) {
	awsclients.Point(t, awsclients.Serve(t, account).URL())
	t.Setenv("AWS_REGION", account.Region)
}

// documents returns the YAML documents of a recipe.
func (r recipe) documents() []string {
	var documents []string
	for _, text := range r.In("yaml") {
		documents = append(documents, strings.Split(text, "\n---\n")...)
	}
	return documents
}

// account returns the account with the groups of the recipe's snippets. It has none where the recipe makes none.
func (r recipe) account(t *testing.T, shared string) fakeaws.Config {
	var account fakeaws.Config
	for _, text := range r.In("hcl") {
		made, err := accountOf(shared + text)
		require.NoError(t, err)
		account = made
	}
	for _, document := range r.documents() {
		if strings.Contains(document, "kind: InstanceGroup") {
			account = instanceGroupAccount(t, document)
		}
	}
	return account
}

// The outputs of asgctl in a recipe are lines, in order, of its output for the recipe's own groups.
func TestAsgctlPrintsWhatRecipesShow(t *testing.T) {
	found, shared := recipes(t)
	shown := 0
	for _, r := range found {
		t.Run(r.name, func(t *testing.T) {
			account := r.account(t, shared)
			if len(account.AutoScalingGroups) == 0 {
				return
			}
			pointTo(t, account)
			for _, b := range r.In("text") {
				group := regexp.MustCompile(`^Group (\S+) in `).FindStringSubmatch(b)
				if group == nil {
					continue
				}
				shown++
				i := slices.IndexFunc(account.AutoScalingGroups, func(g fakeaws.AutoScalingGroup) bool { return g.Name == group[1] })
				assert.Truef(t, i >= 0, "the snippets make no group %s", group[1])
				checkLines(t, asgctl(t, "template", group[1]), b)
			}
		})
	}
	assert.Truef(t, shown >= 7, "%d outputs of asgctl: the recipes show them in another way now", shown)
}

// AWS would take a node undrained from a group that mixes on-demand and spot instances.
func TestDoctorFindsTheMixedGroupsOfRecipesProtected(t *testing.T) {
	found, shared := recipes(t)
	mixed := 0
	for _, r := range found {
		account := r.account(t, shared)
		if !slices.ContainsFunc(account.AutoScalingGroups, func(g fakeaws.AutoScalingGroup) bool {
			return g.MixedInstancesPolicy != nil && g.MixedInstancesPolicy.Distribution.OnDemandBaseCapacity > 0
		}) {
			continue
		}
		mixed++
		t.Run(r.name, func(t *testing.T) {
			pointTo(t, account)
			report := asgctl(t, "doctor", "--kubeconfig", filepath.Join(t.TempDir(), "none"))
			checkLines(t, report, "processes      sound         -          -             suspended processes, AZRebalance and scale-in protection\n")
		})
	}
	assert.Positive(t, mixed, "recipes with such a group")
}

// asgctl returns what the command prints. Findings are no failure.
func asgctl(t *testing.T, args ...string) string {
	t.Helper()
	var out, complaints bytes.Buffer
	if code := command.Run(t.Context(), "asgctl", args, &out, &complaints, "test"); code != command.ExitFine && code != command.ExitFindings {
		t.Fatalf("asgctl %s: exit code %d: %s", strings.Join(args, " "), code, complaints.String())
	}
	return out.String()
}

// checkLines wants each line of part in whole, in order.
func checkLines(t *testing.T, whole, part string) {
	t.Helper()
	rest := strings.Split(whole, "\n")
	for line := range strings.Lines(part) {
		i := slices.Index(rest, strings.TrimSuffix(line, "\n"))
		if i < 0 {
			t.Errorf("asgctl does not print %q here, but\n%s", line, whole)
			return
		}
		rest = rest[i+1:]
	}
}

// The two snippets of a recipe make the same groups.
func TestEksctlMakesTheGroupsOfTerraform(t *testing.T) {
	found, shared := recipes(t)
	compared := 0
	for _, r := range found {
		t.Run(r.name, func(t *testing.T) {
			account := r.account(t, shared)
			for _, document := range r.documents() {
				if !strings.Contains(document, "kind: ClusterConfig") {
					continue
				}
				file := decodeStrictly[eksctlFile](t, document)
				assert.Truef(t, file.Metadata.Region == account.Region, "eksctl in %q, Terraform in %q", file.Metadata.Region, account.Region)
				groups := append(file.NodeGroups, file.ManagedNodeGroups...)
				assert.Truef(t, len(groups) == len(account.AutoScalingGroups),
					"%d groups by eksctl, %d by Terraform", len(groups), len(account.AutoScalingGroups))
				for _, g := range groups {
					compared++
					g.compare(t, account)
				}
			}
		})
	}
	assert.Truef(t, compared >= 7, "%d groups compared: the recipes show eksctl's files in another way now", compared)
}

func TestManifestsAreOfTheirKinds(t *testing.T) {
	found, _ := recipes(t)
	kinds := map[string]func(*testing.T, string){
		"Deployment":          func(t *testing.T, text string) { decodeStrictly[appsv1.Deployment](t, text) },
		"Job":                 func(t *testing.T, text string) { decodeStrictly[batchv1.Job](t, text) },
		"Pod":                 func(t *testing.T, text string) { decodeStrictly[corev1.Pod](t, text) },
		"PodTemplate":         func(t *testing.T, text string) { decodeStrictly[corev1.PodTemplate](t, text) },
		"ConfigMap":           func(t *testing.T, text string) { decodeStrictly[corev1.ConfigMap](t, text) },
		"PodDisruptionBudget": func(t *testing.T, text string) { decodeStrictly[policyv1.PodDisruptionBudget](t, text) },
		"ProvisioningRequest": func(t *testing.T, text string) { decodeStrictly[provisioningv1.ProvisioningRequest](t, text) },
		"ClusterConfig":       func(t *testing.T, text string) { decodeStrictly[eksctlFile](t, text) },
		"Cluster":             func(t *testing.T, text string) { decodeStrictly[kopsCluster](t, text) },
		"InstanceGroup":       func(t *testing.T, text string) { decodeStrictly[instanceGroup](t, text) },
		"":                    checkValues,
	}
	// Their types are in no module that the tests have. They are only parsed.
	foreign := []string{"NodePool", "ProvisioningRequestConfig", "AdmissionCheck", "ResourceFlavor", "ClusterQueue", "LocalQueue"}
	for _, r := range found {
		for _, document := range r.documents() {
			var object struct{ Kind string }
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Errorf("%s: %v in\n%s", r.name, err, document)
				continue
			}
			if slices.Contains(foreign, object.Kind) {
				continue
			}
			check, known := kinds[object.Kind]
			if !known {
				t.Errorf("%s: nothing is known of %s", r.name, object.Kind)
				continue
			}
			t.Run(r.name+"/"+object.Kind, func(t *testing.T) { check(t, document) })
		}
	}
}

// checkValues wants every key of values for the Helm chart among the chart's own values.
func checkValues(t *testing.T, text string) {
	chart, err := os.ReadFile(filepath.Join(root, "manifests", "chart", "values.yaml"))
	require.NoError(t, err)
	var known, given map[string]any
	require.NoError(t, errors.Join(yaml.Unmarshal(chart, &known), yaml.Unmarshal([]byte(text), &given)))
	for key, value := range given {
		default_, ok := known[key]
		assert.Truef(t, ok, "the chart has no value %s", key)
		inner, _ := default_.(map[string]any)
		values, _ := value.(map[string]any)
		for name := range values {
			if _, ok := inner[name]; !ok && key != "podAnnotations" {
				t.Errorf("the chart has no value %s.%s", key, name)
			}
		}
	}
}

func decodeStrictly[T any](t *testing.T, text string) T {
	var v T
	// The other package knows no anchors.
	var plain any
	require.NoError(t, yaml.Unmarshal([]byte(text), &plain))
	raw, err := yaml.Marshal(plain)
	require.NoError(t, err)
	require.NoErrorf(t, strictyaml.UnmarshalStrict(raw, &v), "in\n%s", text)
	return v
}

var costRow = regexp.MustCompile(`(?m)^\| (\d+) × (\S+), (on-demand|spot) \| ([\d.]+) ([A-Z]+) \| (\d+) min \| ([\d.]+) ([A-Z]+) \|$`)

// A cost is the number of instances × the built-in price × the time.
func TestCostsAreComputedFromThePrices(t *testing.T) {
	found, shared := recipes(t)
	rows := 0
	for _, r := range found {
		for _, row := range costRow.FindAllStringSubmatch(r.Text, -1) {
			rows++
			price, currency := priceOf(t, r.account(t, shared).Region, row[2], row[3])
			assert.Truef(t, row[4] == strconv.FormatFloat(price, 'f', -1, 64) && row[5] == currency && row[8] == currency,
				"%s: %q, but the price is %v %s", r.name, row[0], price, currency)
			count, minutes, cost := number(t, row[1]), number(t, row[6]), number(t, row[7])
			want := count * price * minutes / 60
			assert.Truef(t, math.Abs(cost-want) <= 0.005, "%s: %q, but it costs %.4f", r.name, row[0], want)
		}
	}
	assert.Truef(t, rows >= 7, "%d costs: the recipes state them in another way now", rows)
}

// priceOf returns the built-in price of an hour.
func priceOf(t *testing.T, region, instanceType, capacityType string) (float64, string) {
	t.Helper()
	var list struct {
		Prices []struct {
			Amount   float64 `json:"amount"`
			Currency string  `json:"currency"`
		} `json:"prices"`
	}
	out := asgctl(t, "prices", instanceType, "--region", region, "--capacity-type", capacityType, "-o", "json")
	err := json.Unmarshal([]byte(out), &list)
	require.Truef(t, err == nil && len(list.Prices) == 1, "prices of %s in %s: %v in\n%s", instanceType, region, err, out)
	return list.Prices[0].Amount, list.Prices[0].Currency
}

func number(t *testing.T, text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return n
}
