package access

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// The replicas that take the place of the image in kOps' add-on, by release: the oldest with this project's oldest Kubernetes, and the newest.
// The rules of 1.32.4 are also those of 1.33.0, 1.33.1 and 1.34.0.
const (
	kops132 = "kops-1-32-4"
	kops136 = "kops-1-36-2"
)

var kopsReleases = []string{kops132, kops136}

// kopsRoles are the rules of the add-on's roles (kops, upup/models/cloudup/resources/addons/cluster-autoscaler.addons.k8s.io, read 2026-11).
// The rule for endpoints and those of extensions are for releases of Kubernetes that nobody runs.
func kopsRoles(t *testing.T, release string) grants {
	roles, err := os.ReadFile("testdata/" + release + ".yaml")
	require.NoError(t, err)
	return parseGrants(t, string(roles))
}

// kopsFlags are the add-on's for one instance group, with its defaults but for the two times, which spec.clusterAutoscaler sets.
func kopsFlags(group string) []string {
	return []string{
		"--balance-similar-node-groups=false", "--emit-per-nodegroup-metrics=false", "--cloud-provider=aws", "--aws-use-static-instance-list=false",
		"--expander=random", "--nodes=0:5:" + group, "--ignore-daemonsets-utilization=false", "--scale-down-utilization-threshold=0.5",
		"--skip-nodes-with-custom-controller-pods=true", "--skip-nodes-with-local-storage=true", "--skip-nodes-with-system-pods=true",
		"--scale-down-delay-after-add=1s", "--scale-down-unneeded-time=1s", "--scale-down-unready-time=20m0s", "--new-pod-scale-up-delay=0s",
		"--max-node-provision-time=15m0s", "--cordon-node-before-terminating=true", "--logtostderr=true", "--stderrthreshold=info", "--v=4",
	}
}

// kopsPolicy is what kOps gives the role of the add-on (pkg/model/iam, AddClusterAutoscalerPermissions).
const kopsPolicy = `{"Version": "2012-10-17", "Statement": [
	{"Effect": "Allow", "Resource": "*", "Action": ["autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances",
		"autoscaling:DescribeLaunchConfigurations", "autoscaling:DescribeScalingActivities", "ec2:DescribeImages", "ec2:DescribeInstanceTypes",
		"ec2:DescribeLaunchTemplateVersions", "ec2:GetInstanceTypesFromInstanceRequirements"]},
	{"Effect": "Allow", "Resource": "*", "Action": ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
		"Condition": {"StringEquals": {"aws:ResourceTag/KubernetesCluster": "eksworkshop"}}}]}`

// saidOnce are the lines of the log about what the roles of each release and the policy withhold.
var saidOnce = map[string][]string{
	kops132: {
		`Switched a feature off.*enable-dynamic-resource-allocation.*not permitted`,
		`Read no attachments of volumes.*not permitted`,
		`No node is nominated for the pods.*patch on pods/status`,
		`\] Node group problem launch-at-once-denied.*autoscaling:LaunchInstances`,
	},
	kops136: {
		`No node is nominated for the pods.*patch on pods/status`,
		`\] Node group problem launch-at-once-denied.*autoscaling:LaunchInstances`,
	},
}

// refusedTo are the requests that the API server refuses, each kind once.
var refusedTo = map[string][]string{
	kops132: {"list deviceclasses.resource.k8s.io", "list volumeattachments.storage.k8s.io", "patch pods/status"},
	kops136: {"patch pods/status"},
}

var forbiddenNomination = regexp.MustCompile(`(?m)^asg_autoscaler_nominations_total{result="forbidden"} [1-9]`)

// worksInKOps runs the program as the add-on's Deployment does: with its flags, probe, roles and IAM policy. Nothing but the image is changed.
func worksInKOps(t *testing.T, l *lab, release string) {
	r := l.replica(t, release, kopsRoles(t, release))
	nodes := r.nodes(t, 2)
	r.apply(t, r.pod("first", nodes[0].Name, "200m"), r.pod("second", nodes[1].Name, "200m"))
	process, err := l.env.StartAs(t.Context(), r.log, append(kopsFlags(release), "--kubeconfig="+r.kubeconfig, "--namespace="+release,
		"--unremovable-node-recheck-timeout=1s"), // otherwise the test waits five minutes for a node that had a pod
		append(r.kopsRole(t), "POD_NAME="))
	require.NoError(t, err)
	r.process = process
	t.Cleanup(func() {
		process.Kill()
		if t.Failed() {
			t.Logf("the end of the log:\n%s", tail(readFile(t, r.log), 60))
		}
	})
	probed := r.probe(t)

	r.awaitDesired(t, 1) // a node was drained
	r.nodes(t, 1)
	r.apply(t, r.pod("large", "", "1800m"), r.pod("wide", "", "1750m")) // of two shapes, so that they would be nominated
	r.awaitRunning(t, "large")
	r.awaitRunning(t, "wide")
	eventually(t, func(ctx context.Context) string {
		metrics, err := process.Get(ctx, "/metrics")
		if err != nil {
			return err.Error()
		}
		if !forbiddenNomination.MatchString(metrics) {
			return "no nomination counts as forbidden"
		}
		return ""
	})
	for _, pod := range []string{"first", "second", "large", "wide"} {
		_ = r.client.CoreV1().Pods(release).Delete(t.Context(), pod, metav1.DeleteOptions{}) // a pod of the drained node is gone
	}
	r.awaitDesired(t, 0)
	r.nodes(t, 0)

	probed()
	require.NoError(t, process.Stop())
	log := readFile(t, r.log)
	for _, line := range saidOnce[release] {
		said := regexp.MustCompile(line).FindAllString(log, -1)
		assert.Truef(t, len(said) == 1, "the log has %d lines like %q, want one", len(said), line)
	}
	assert.Empty(t, cmp.Diff(refusedTo[release], r.refused(t)), "refused requests (-want +got)")
}

// probe asks as the add-on's liveness probe does, until its result is called: every 10 s, for 1 s, and three misses in a row are too many.
func (r *replica) probe(t *testing.T) (ended func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for misses := 0; ; {
			asked, answered := context.WithTimeout(ctx, time.Second)
			_, err := r.process.Get(asked, "/health-check")
			answered()
			if misses++; err == nil {
				misses = 0
			}
			if misses == 3 && ctx.Err() == nil {
				t.Errorf("a kubelet would restart it: %v", err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(10 * time.Second):
			}
		}
	}()
	ended = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(ended)
	return ended
}

// refused are the requests that the API server has refused to the replica, as verb and resource.
func (r *replica) refused(t *testing.T) []string {
	all, err := r.env.Cluster.Forbidden()
	require.NoError(t, err)
	var own []string
	for _, refusal := range all {
		if rest, ok := strings.CutPrefix(refusal, r.user()+" may not "); ok {
			request, _, _ := strings.Cut(rest, " in ")
			own = append(own, request)
		}
	}
	slices.Sort(own)
	return own
}

// kopsRole makes a role with kOps' policy for the replica's ServiceAccount, and returns the variables by which the SDK assumes it.
func (r *replica) kopsRole(t *testing.T) []string {
	issuer, subject := r.env.AWS.Issuer("eksworkshop"), r.user()
	provider := strings.TrimPrefix(issuer, "https://")
	arn := "arn:aws-cn:iam::" + fakeaws.DefaultAccount + ":"
	r.callIAM(t, "CreateOpenIDConnectProvider", "Url", issuer)
	r.callIAM(t, "CreateRole", "RoleName", r.name, "AssumeRolePolicyDocument", fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
		"Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": %q}, "Condition": {"StringEquals": {%q: %q}}}]}`,
		arn+"oidc-provider/"+provider, provider+":sub", subject))
	r.callIAM(t, "PutRolePolicy", "RoleName", r.name, "PolicyName", "kops", "PolicyDocument", kopsPolicy)
	token := filepath.Join(r.dir, r.name+".token")
	claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":["sts.amazonaws.com"]}`, issuer, subject)
	require.NoError(t, os.WriteFile(token, []byte("e30."+base64.RawURLEncoding.EncodeToString([]byte(claims))+".c2ln"), 0o600))
	return []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_ROLE_ARN=" + arn + "role/" + r.name, "AWS_WEB_IDENTITY_TOKEN_FILE=" + token,
		"AWS_ENDPOINT_URL_STS=" + r.env.AWS.URL()}
}

// callIAM calls the emulated IAM with parameters, each name before its value. What is there already may stay.
func (l *lab) callIAM(t *testing.T, action string, parameters ...string) {
	sent := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for pair := range slices.Chunk(parameters, 2) {
		sent.Set(pair[0], pair[1])
	}
	answer, err := http.PostForm(l.env.AWS.URL(), sent)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Truef(t, answer.StatusCode == http.StatusOK || strings.Contains(string(body), "EntityAlreadyExists"),
		"%s: %s: %s", action, answer.Status, body)
}
