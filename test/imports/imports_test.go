// Package imports holds the rules of who may import whom, each with its reason.
package imports

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

const (
	module = "github.com/asg-autoscaler/asg-autoscaler/"
	core   = "k8s.io/autoscaler/cluster-autoscaler"
	sdk    = "github.com/aws/aws-sdk-go-v2"
)

func TestWhoMayImportWhom(t *testing.T) {
	for _, rule := range []struct {
		rooms     []string // below the module, "..." for all below
		forbidden string   // prefix of an import path, of any depth
		reason    string
	}{
		{[]string{"cloudprovider/asg", "cloudprovider/awsclient", "cloudprovider/nodetemplate/...", "cloudprovider/grouptemplate", "cloudprovider/instancetypes", "cloudprovider/podzone", "cloudprovider/interruption/..."}, core,
			"the core's module path and interfaces are moving; only adapters may follow them"},
		{[]string{"cloudprovider/asg", "cloudprovider/awsclient", "cloudprovider/instancetypes"}, "k8s.io/api/",
			"what AWS says is kept in AWS's words; the vocabulary changes in cloudprovider/aws alone"},
		{[]string{"cloudprovider/nodetemplate/...", "cloudprovider/instancetypes"}, sdk,
			"templates are pure: no I/O, so that they can be built anywhere and fuzzed"},
		{[]string{"cloudprovider/instancetypes"}, "k8s.io/", "facts about hardware need no Kubernetes"},
		{[]string{"cloudprovider/awsmessage"}, sdk, "what AWS says is judged as text; errors of the SDK are awsclient's to judge"},
		{[]string{"cloudprovider/awsmessage"}, "k8s.io/", "what AWS says needs no Kubernetes"},
		{[]string{"cloudprovider/interruption/event"}, "k8s.io/", "what AWS says is read without Kubernetes, and fuzzed"},
		{[]string{"cloudprovider/interruption/event"}, sdk, "a message's body is text, whoever sent it"},
		{[]string{"cloudprovider/interruption/queue"}, "k8s.io/api/", "a queue knows nothing of what its messages are about"},
		{[]string{"cloudprovider/interruption/drain"}, sdk, "pods are moved in Kubernetes alone"},
		{[]string{"cloudprovider/podzone"}, sdk, "which zone a pod needs is said in Kubernetes alone"},
		{[]string{"pricing", "pricing/pricefile", "pricing/offer", "pricing/rates"}, sdk, "prices are known offline"},
		{[]string{"pricing", "pricing/offer"}, "net/", "prices are known offline"},
		{[]string{"cloudprovider/spotprice", "pricing", "pricing/pricefile", "pricing/rates", "pricing/groupprice"}, core, "what an instance costs is known without the core"},
		{[]string{"cloudprovider/...", "expander/...", "pricing/...", "cmd/...", "manifests/..."}, module + "test/",
			"nothing that ships may know the emulator or the tests"},
		{[]string{"test/fakeoffer"}, module + "pricing", "what makes up offers cannot share the reader's mistakes"},
		{[]string{"expander/leastcost/covering"}, "k8s.io/", "a linear program is one wherever it comes from"},
		{[]string{"test/fakeaws"}, module + "cloudprovider/nodetemplate",
			"an emulator that shares the product's formulas cannot find them wrong"},
		{[]string{"cmd/asgctl/..."}, core, "the CLI shows what the autoscaler knows of AWS, and needs nothing that simulates a cluster"},
		{[]string{"test/fakeaws", "test/controlplane"}, core, "the world the autoscaler runs in does not contain it"},
	} {
		for _, room := range rule.rooms {
			for _, path := range dependencies(t, room) {
				if strings.HasPrefix(path, rule.forbidden) {
					t.Errorf("%s depends on %s: %s", room, path, rule.reason)
				}
			}
		}
	}
}

// dependencies are the import paths that the packages of a room need, directly or not, tests left out.
func dependencies(t *testing.T, room string) []string {
	t.Helper()
	var stderr bytes.Buffer
	list := exec.Command("go", "list", "-deps", "./"+room)
	list.Dir, list.Stderr = "../..", &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v\n%s", room, err, stderr.String())
	}
	paths := strings.Fields(string(out))
	if len(paths) == 0 {
		t.Fatalf("go list -deps %s: no packages", room)
	}
	return paths
}
