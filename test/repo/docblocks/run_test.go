package docblocks

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/controlplane"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/loopback"
	"github.com/asg-autoscaler/asg-autoscaler/test/repo/chart"
	"github.com/asg-autoscaler/asg-autoscaler/test/repo/document"
	"github.com/asg-autoscaler/asg-autoscaler/test/scenario"
)

// blockTimeout bounds one block.
const blockTimeout = 4 * time.Minute

// TestMain puts asgctl and a stand-in of the AWS CLI into the PATH: this binary under other names, which include the one of a kubectl plugin.
func TestMain(m *testing.M) {
	asgctl := func() {
		os.Exit(command.Run(context.Background(), os.Args[0], os.Args[1:], os.Stdout, os.Stderr, "test"))
	}
	testscript.Main(m, map[string]func(){"asgctl": asgctl, "kubectl-asg": asgctl, "aws": awsCLI})
}

func TestFlagsInMarkedBlocksExist(t *testing.T) {
	for _, b := range slices.Concat(documents(t)...) {
		if b.Language == "sh" && needsAccount(b) {
			for _, p := range unknownFlags(t, b) {
				t.Errorf("%s: %s", b, p)
			}
		}
	}
	wrong := document.Block{Text: account + "\nasgctl groups --nope # of ours\ncluster-autoscaler --nope=1 | less\nasgctl account --launch GROUP\n"}
	assert.Lenf(t, unknownFlags(t, wrong), 2, "unknown flags in %q, want two", wrong.Text)
}

var proseCommand = regexp.MustCompile(`^(?:asgctl|kubectl asg) ([a-z]+)`)

// asgctl refuses to run a command that it does not have, but prose is not run.
func TestCommandsInProseExist(t *testing.T) {
	var help bytes.Buffer
	require.Equal(t, command.ExitFine, command.Run(t.Context(), "asgctl", []string{"--help"}, &help, io.Discard, "test"))
	found := 0
	for _, d := range document.Pages(t, root) {
		if d.Path == "CHANGELOG.md" {
			continue // it names commands that are gone
		}
		for _, span := range d.Spans() {
			if named := proseCommand.FindStringSubmatch(span); named != nil {
				found++
				assert.Containsf(t, help.String(), "\n  "+named[1]+" ", "%s: `%s`: asgctl has no such command", d.Path, span)
			}
		}
	}
	assert.NotZero(t, found)
}

// unknownFlags returns the commands of our programs with flags that do not exist. It runs none of them.
func unknownFlags(t *testing.T, b document.Block) []string {
	known, err := os.ReadFile(filepath.Join(root, "docs", "flags.md"))
	require.NoError(t, err)
	var found []string
	for _, line := range commands(replaced(b.Text)) {
		words := strings.Fields(segmentEnd.Split(line, 2)[0])
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "asgctl": // cobra refuses an unknown flag before it prints the help
			help := exec.Command("bash", "-c", strings.Join(append(words, "--help"), " "))
			help.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_EC2_METADATA_DISABLED=true"} // it must reach no account
			if out, err := help.CombinedOutput(); err != nil {
				found = append(found, fmt.Sprintf("%s: %v: %s", line, err, out))
			}
		case "cluster-autoscaler":
			for _, word := range words[1:] {
				if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "--") && !strings.Contains(string(known), "| `"+flag+"` |") {
					found = append(found, fmt.Sprintf("%s: there is no flag %s", line, flag))
				}
			}
		}
	}
	return found
}

// segmentEnd ends the first command of a line.
var segmentEnd = regexp.MustCompile(`[|>;&]`)

// A reader of the documents has programs, a cluster, an account and a copy of the repository.
type reader struct {
	cluster *controlplane.Cluster
	objects dynamic.Interface // of the cluster
	aws     *fakeaws.Server
	dir     string // of the copy, where the blocks run
	bin     string
	env     []string
	scaler  *exec.Cmd // of the first installed Deployment, nil before
	log     string    // path
}

func TestCommandBlocksRun(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane")
	}
	r := newReader(t)
	for _, blocks := range documents(t) {
		blocks = slices.DeleteFunc(blocks, func(b document.Block) bool { return b.Language != "sh" || kindOf(b) != runs })
		if len(blocks) == 0 {
			continue
		}
		r.copyRepository(t)
		for _, b := range blocks {
			if installs.MatchString(b.Text) {
				r.forget(t) // a reader goes one of the ways that a document describes
			}
			t.Run(b.String(), func(t *testing.T) { r.run(t, b) })
		}
		r.forget(t)
	}
	require.NotNil(t, r.scaler, "no block installs the autoscaler")
	group, _ := r.aws.Group("web")
	assert.Truef(t, len(group.Instances) >= 2, "group web has %d instances: README.md does not scale a group", len(group.Instances))
}

// installs begins a command that installs the autoscaler.
var installs = regexp.MustCompile(`(?m)^(helm install|kubectl apply -k)`)

// helmPath asks the go command, which takes a second, once.
var helmPath = sync.OnceValues(func() (string, error) { return chart.Helm(context.Background(), root, "v4") })

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{bin: t.TempDir()}
	r.log = filepath.Join(r.bin, "autoscaler.log")
	r.cluster = controlplane.StartFor(t, controlplane.Options{})
	var err error
	r.objects, err = dynamic.NewForConfig(r.cluster.RESTConfig())
	require.NoError(t, err)
	config, err := fakeaws.LoadConfig(filepath.Join("testdata", "account.yaml"))
	require.NoError(t, err)
	r.aws, err = fakeaws.Start(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.aws.Close() })
	t.Cleanup(func() { r.stop(t) })
	require.NoError(t, r.aws.Attach(r.cluster.Client()))
	installDevicePlugin(t, r.cluster.Client())
	helm, err := helmPath()
	require.NoError(t, err)
	for name, path := range map[string]string{"kubectl": r.cluster.Kubectl(), "helm": helm} {
		require.NoError(t, os.Symlink(path, filepath.Join(r.bin, name)))
	}
	if err := scenario.LookAtSources(root); err != nil { // for the cache of go test
		t.Fatal(err)
	}
	_, err = scenario.BuildAutoscaler(t.Context(), r.bin)
	require.NoError(t, err)
	r.env = append(os.Environ(), "PATH="+r.bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "KUBECONFIG="+r.cluster.Kubeconfig(),
		"XDG_DATA_HOME="+r.bin, "KUBECACHEDIR="+r.bin, "HELM_CACHE_HOME="+r.bin, "HELM_CONFIG_HOME="+r.bin, "HELM_DATA_HOME="+r.bin,
		"AWS_ENDPOINT_URL="+r.aws.URL(), "AWS_REGION="+r.aws.Region(), "AWS_ACCESS_KEY_ID=reader", "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_EC2_METADATA_DISABLED=true", "GORACE=exitcode=0 atexit_sleep_ms=0")
	return r
}

// installDevicePlugin makes the DaemonSet that a reader with a GPU group has. Its pods go to GPU nodes alone.
func installDevicePlugin(t *testing.T, client kubernetes.Interface) {
	labels := map[string]string{"app": "nvidia-device-plugin"}
	_, err := client.AppsV1().DaemonSets("kube-system").Create(t.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "nvidia-device-plugin"},
		Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{NodeSelector: map[string]string{"node.kubernetes.io/instance-type": "g4dn.xlarge"},
				Containers: []corev1.Container{{Name: "plugin", Image: "nvidia/k8s-device-plugin"}}}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// copyRepository makes a new copy of the files that commands of the documents name, so that a block may write beside them.
func (r *reader) copyRepository(t *testing.T) {
	r.dir = t.TempDir()
	for _, name := range []string{"manifests", "go.mod", "go.sum"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			inside, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			target := filepath.Join(r.dir, inside)
			if entry.IsDir() {
				return os.MkdirAll(target, 0o755)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(target, content, 0o644)
		})
		require.NoError(t, err)
	}
}

// bash runs a script as a reader does.
func (r *reader) bash(t *testing.T, script string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), blockTimeout)
	defer cancel()
	const exports = `trap 'export -p > .exports' EXIT; if [ -f .exports ]; then . ./.exports; fi` // a reader types all blocks into one shell
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", exports+"\n"+script)
	shell.Dir, shell.Env = r.dir, r.env
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	out, err := shell.CombinedOutput()
	return string(out), err
}

func (r *reader) run(t *testing.T, b document.Block) {
	if out, err := r.bash(t, replaced(b.Text)); err != nil {
		scaler, _ := os.ReadFile(r.log)
		t.Errorf("%v\n%s\n%s\nIf the block needs an AWS account or another service, its first line is %q. Otherwise make it run: the cluster and the group "+
			"of testdata/account.yaml are there, and what earlier blocks of the document have made.\nThe end of the autoscaler's log:\n%s",
			err, b.Text, out, account, scaler[max(0, len(scaler)-3000):])
	}
	r.play(t)
}

// play runs the command of our Deployment once a block has installed one, because KWOK's pods run nothing.
func (r *reader) play(t *testing.T) {
	t.Helper()
	if r.scaler != nil {
		return
	}
	installed, err := r.cluster.Client().AppsV1().Deployments("kube-system").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, deployment := range installed.Items {
		if c := deployment.Spec.Template.Spec.Containers[0]; len(c.Command) > 0 && c.Command[0] == "./cluster-autoscaler" {
			r.start(t, deployment.Spec.Template.Spec.ServiceAccountName, c)
			return
		}
	}
}

// start starts the autoscaler with the ServiceAccount's role in AWS. It ends with the reader. If the account has a role, it first starts the
// autoscaler under the account that the chart makes on its own, which the role does not trust.
func (r *reader) start(t *testing.T, serviceAccount string, c corev1.Container) {
	t.Helper()
	if role := r.roleOf(t, serviceAccount); role == "" {
		r.scaler = r.command(t, c)
	} else {
		const other = "cluster-autoscaler-aws-cluster-autoscaler"
		r.scaler = r.command(t, c, webIdentity(t, r.aws, r.bin, role, other)...)
		r.awaitLog(t, "let the trust policy of "+role+" name system:serviceaccount:kube-system:"+other)
		r.stop(t)
		r.scaler = r.command(t, c, webIdentity(t, r.aws, r.bin, role, serviceAccount)...)
	}
	r.awaitLog(t, "Read the Auto Scaling groups")
}

// awaitLog waits until the autoscaler has said something.
func (r *reader) awaitLog(t *testing.T, text string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		log, err := os.ReadFile(r.log)
		return strings.Contains(string(log), text), err
	})
	if err != nil {
		log, _ := os.ReadFile(r.log)
		t.Fatalf("the autoscaler does not say %q: %v\n%s", text, err, log[max(0, len(log)-3000):])
	}
}

// command starts the container's command here, as the cluster's admin, with a new log.
func (r *reader) command(t *testing.T, c corev1.Container, credentials ...string) *exec.Cmd {
	address, err := loopback.FreeAddress()
	require.NoError(t, err)
	log, err := os.Create(r.log)
	require.NoError(t, err)
	defer log.Close()
	scaler := exec.Command(filepath.Join(r.bin, "cluster-autoscaler"), slices.Concat(c.Command[1:], c.Args,
		[]string{"--kubeconfig=" + r.cluster.Kubeconfig(), "--address=" + address})...)
	variables := map[string]string{"POD_NAME": "docs"}
	for _, v := range c.Env {
		if v.ValueFrom == nil {
			variables[v.Name] = v.Value
		}
	}
	scaler.Env = append(slices.Clone(r.env), credentials...)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		scaler.Env = append(scaler.Env, name+"="+variables[name])
	}
	scaler.Stdout, scaler.Stderr = log, log
	require.NoError(t, scaler.Start())
	return scaler
}

// roleOf is the role of a ServiceAccount in kube-system, or none.
func (r *reader) roleOf(t *testing.T, serviceAccount string) string {
	found, err := r.cluster.Client().CoreV1().ServiceAccounts("kube-system").Get(t.Context(), serviceAccount, metav1.GetOptions{})
	require.NoError(t, err)
	return found.Annotations["eks.amazonaws.com/role-arn"]
}

// webIdentity are the variables of a role, with the token of a ServiceAccount in kube-system as EKS's API server writes it. Nobody checks its signature.
func webIdentity(t *testing.T, aws *fakeaws.Server, dir, role, serviceAccount string) []string {
	claims := fmt.Sprintf(`{"iss":%q,"sub":"system:serviceaccount:kube-system:%s","aud":["sts.amazonaws.com"]}`, aws.Issuer(placeholders["CLUSTER_NAME"]), serviceAccount)
	file := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(file, []byte("e30."+base64.RawURLEncoding.EncodeToString([]byte(claims))+".c2ln"), 0o600))
	return []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_ROLE_ARN=" + role, "AWS_WEB_IDENTITY_TOKEN_FILE=" + file,
		"AWS_ENDPOINT_URL_STS=" + aws.URL()} // the SDK's credentials do not obey the endpoint of all services
}

// stop ends the autoscaler as Kubernetes does.
func (r *reader) stop(t *testing.T) {
	if r.scaler == nil {
		return
	}
	assert.NoError(t, r.scaler.Process.Signal(syscall.SIGTERM))
	assert.NoError(t, r.scaler.Wait(), "the autoscaler ended")
}

// forgotten are the kinds that documents make in kube-system and in no namespace, and then the kinds that they make in default.
var forgotten = []struct {
	namespace, group, version string
	kinds                     []string
}{
	{"kube-system", "apps", "v1", []string{"deployments"}},
	{"kube-system", "", "v1", []string{"serviceaccounts", "services"}},
	{"kube-system", "policy", "v1", []string{"poddisruptionbudgets"}},
	{"kube-system", "rbac.authorization.k8s.io", "v1", []string{"roles", "rolebindings"}},
	{"", "rbac.authorization.k8s.io", "v1", []string{"clusterroles", "clusterrolebindings"}},
	{"default", "apps", "v1", []string{"deployments", "statefulsets"}},
	{"default", "batch", "v1", []string{"jobs"}},
}

// forget removes the objects that the blocks of a document have made in the cluster, so that no document depends on another one. Helm alone
// is a process, and only where a block has installed something with it.
func (r *reader) forget(t *testing.T) {
	releases, err := r.cluster.Client().CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	require.NoError(t, err)
	if len(releases.Items) > 0 {
		out, err := r.bash(t, `helm list --all-namespaces --no-headers | awk NF | while read -r name namespace rest; do helm uninstall "$name" --namespace "$namespace"; done`)
		require.NoErrorf(t, err, "%s", out)
	}
	for _, f := range forgotten {
		for _, kind := range f.kinds {
			r.remove(t, r.objects.Resource(schema.GroupVersionResource{Group: f.group, Version: f.version, Resource: kind}).Namespace(f.namespace),
				func(name string) bool { return f.namespace == "default" || strings.Contains(name, "autoscaler") })
		}
	}
}

// remove deletes the objects, and waits until they are gone.
func (r *reader) remove(t *testing.T, objects dynamic.ResourceInterface, chosen func(name string) bool) {
	deletes := metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)} // kubectl's
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		left, err := objects.List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		found := false
		for _, object := range left.Items {
			if !chosen(object.GetName()) {
				continue
			}
			found = true
			if err := objects.Delete(ctx, object.GetName(), deletes); err != nil && !apierrors.IsNotFound(err) {
				return false, err
			}
		}
		return !found, nil
	})
	require.NoError(t, err)
}
