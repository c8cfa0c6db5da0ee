package access

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A removal is a rule, or some of its verbs, that the autoscaler does without.
type removal struct {
	name     string // of the replica
	resource string
	verb     string   // one of the rule's
	only     bool     // the verb alone is taken away, and not the rule
	flags    []string // of the replica
	prepare  func(*testing.T, *replica)
	log      string // a line of the autoscaler's log
	then     func(*testing.T, *replica)
}

const withBuffers = "--capacity-buffer-controller-enabled"

// impatient makes a leader that cannot start end soon. It names the kinds that it could not read.
const impatient = "--max-failing-time=10s"

// removals holds each rule of rbac.yaml and rbac-interruption.yaml, and those of rbac-optional.yaml without which a feature is off.
var removals = []removal{
	{name: "namespaces", resource: "namespaces", verb: "list", flags: []string{impatient}, then: ended,
		log: `not ready 10s after.*core/v1.Namespace, core/v1.PersistentVolume, core/v1.PersistentVolumeClaim, core/v1.Pod, core/v1.ReplicationController, core/v1.Service`},
	{name: "workloads", resource: "daemonsets", verb: "list", flags: []string{impatient}, then: ended,
		log: `not ready 10s after.*apps/v1.DaemonSet, apps/v1.ReplicaSet, apps/v1.StatefulSet`},
	{name: "jobs", resource: "jobs", verb: "list", flags: []string{impatient}, then: ended, log: `not ready 10s after.*batch/v1.Job`},
	{name: "budgets", resource: "poddisruptionbudgets", verb: "list", flags: []string{impatient}, then: ended,
		log: `not ready 10s after.*policy/v1.PodDisruptionBudget`},
	{name: "storage", resource: "csidrivers", verb: "list", flags: []string{impatient}, then: ended,
		log: `not ready 10s after.*storage/v1.CSIDriver, storage/v1.CSINode, storage/v1.CSIStorageCapacity, storage/v1.StorageClass`},
	{name: "claims", resource: "deviceclasses", verb: "list", then: removesNodes,
		log: `Switched a feature off.*enable-dynamic-resource-allocation.*not permitted`},
	{name: "nodes", resource: "nodes", verb: "list", then: ended, log: `Could not go on.*list nodes.*forbidden`},
	{name: "taints", resource: "nodes", verb: "update", only: true, log: `cannot update resource \\?"nodes\\?"`, then: removesNone},
	{name: "evictions", resource: "pods/eviction", verb: "create", flags: []string{"--max-pod-eviction-time=1s"}, prepare: twoPods,
		log: `Failed to evict pod.*cannot create resource \\?"pods/eviction`, then: removesNone},
	{name: "drains", resource: "pods/eviction", verb: "create", prepare: heldPod,
		log: `Could not ask a pod to leave its node.*cannot create resource`, then: deletesThePod},
	{name: "left-pods", resource: "pods", verb: "get", prepare: twoPods, log: `Failed to check pod.*cannot get resource \\?"pods\\?"`, then: removesNone},
	{name: "deletions", resource: "pods", verb: "delete", prepare: heldPod,
		log: `Could not ask a pod to leave its node.*cannot delete resource`, then: losesThePod},
	{name: "marks", resource: "pods/status", verb: "patch", prepare: heldPod,
		log: `Pods are deleted without the condition DisruptionTarget.*cannot patch resource`, then: deletesThePod},
	{name: "events", resource: "events", verb: "create", log: `Server rejected event`, then: removesNodes},
	{name: "new-lease", resource: "leases", verb: "create", log: `Error initially creating lease lock.*cannot create resource`, then: neverLeads},
	{name: "lease", resource: "leases", verb: "get", log: `Error retrieving lease lock.*cannot get resource`, then: neverLeads},
	{name: "new-status", resource: "configmaps", verb: "create", log: `Failed to write status configmap.*cannot create resource`, then: removesNodes},
	{name: "status", resource: "configmaps", verb: "get", log: `Failed to retrieve status configmap.*cannot get resource`, then: removesNodes},
	{name: "priorities", resource: "configmaps", verb: "list", flags: []string{"--expander=priority"}, prepare: largePod,
		log: `cannot list resource \\?"configmaps`, then: addsANode},

	{name: "requests", resource: "provisioningrequests", verb: "list", flags: []string{"--enable-provisioning-requests"}, then: removesNodes,
		log: `Switched a feature off.*enable-provisioning-requests.*not permitted`},
	{name: "templates", resource: "podtemplates", verb: "list", flags: []string{"--enable-provisioning-requests"}, then: removesNodes,
		log: `Switched a feature off.*enable-provisioning-requests.*v1/podtemplates.*not permitted`},
	{name: "buffers", resource: "capacitybuffers", verb: "list", flags: []string{withBuffers}, then: removesNodes,
		log: `Switched a feature off.*capacity-buffer-controller-enabled.*v1beta1/capacitybuffers.*not permitted`},
	{name: "buffers-deployments", resource: "deployments", verb: "list", flags: []string{withBuffers}, then: removesNodes,
		log: `Switched a feature off.*capacity-buffer-controller-enabled.*apps/v1/deployments.*not permitted`},
	{name: "buffers-quotas", resource: "resourcequotas", verb: "list", flags: []string{withBuffers}, then: removesNodes,
		log: `Switched a feature off.*capacity-buffer-controller-enabled.*v1/resourcequotas.*not permitted`},
	{name: "quotas", resource: "capacityquotas", verb: "list", flags: []string{"--capacity-quotas-enabled"}, then: removesNodes,
		log: `Switched a feature off.*capacity-quotas-enabled.*not permitted`},
}

// doesWithout starts a replica without a permission and awaits what the row says.
func doesWithout(t *testing.T, l *lab, row removal) {
	r := l.replica(t, row.name, shipped(t, "rbac", "rbac-interruption", "rbac-optional").without(t, row.resource, row.verb, row.only))
	r.nodes(t, 2)
	if row.prepare != nil {
		row.prepare(t, r)
	}
	r.start(t, row.flags...)
	r.awaitLog(t, row.log)
	row.then(t, r)
}

func ended(t *testing.T, r *replica) {
	if r.process != nil {
		<-r.process.Done()
	}
	assert.True(t, strings.Contains(readFile(t, r.log), "Could not go on"), "it does not say why it has ended")
}

// removesNodes is what a working autoscaler does with two empty nodes.
func removesNodes(t *testing.T, r *replica) { r.awaitDesired(t, 0) }

func removesNone(t *testing.T, r *replica) {
	assert.Never(t, func() bool {
		group, _ := r.env.AWS.Group(r.name)
		return group.Desired != 2 || !r.process.Running()
	}, 5*time.Second, 100*time.Millisecond, "nodes went, or the process ended")
}

func addsANode(t *testing.T, r *replica) { r.awaitRunning(t, "large") }

func neverLeads(t *testing.T, r *replica) {
	assert.Never(t, func() bool {
		log, err := os.ReadFile(r.log)
		return err != nil || strings.Contains(string(log), "Started a loop") || !r.process.Running()
	}, 5*time.Second, 100*time.Millisecond, "it has led, or ended")
}

func deletesThePod(t *testing.T, r *replica) { r.awaitLog(t, `Drained a node.*forced=1`) }

func losesThePod(t *testing.T, r *replica) { r.awaitLog(t, `Drained a node.*lost=1`) }

// twoPods puts a pod on each node. Both fit on one node.
func twoPods(t *testing.T, r *replica) {
	nodes := r.nodes(t, 2)
	r.apply(t, r.pod("first", nodes[0].Name, "200m"), r.pod("second", nodes[1].Name, "200m"))
	r.awaitRunning(t, "first")
	r.awaitRunning(t, "second")
}

// largePod fills the nodes, and asks for another one.
func largePod(t *testing.T, r *replica) {
	twoPods(t, r)
	r.apply(t, r.pod("large", "", "1800m"))
}

// heldPod puts a pod on a node that is interrupted. Its disruption budget holds it back.
func heldPod(t *testing.T, r *replica) { r.holdAndInterrupt(t, r.nodes(t, 2)[0]) }

func TestEveryRuleIsTakenAway(t *testing.T) {
	g := shipped(t, "rbac", "rbac-interruption")
	for _, rule := range slices.Concat(g.cluster, g.namespace) {
		if !slices.ContainsFunc(removals, func(row removal) bool {
			return !row.only && slices.Contains(rule.Resources, row.resource) && slices.Contains(rule.Verbs, row.verb)
		}) {
			t.Errorf("no autoscaler runs without %v", rule)
		}
	}
}

var apiSection = regexp.MustCompile(`(?s)\n## The Kubernetes API\n.*?\n## `)

func TestTheDocumentNamesEveryPermission(t *testing.T) {
	rows := strings.Split(apiSection.FindString(readFile(t, "../../../docs/install.md")), "\n")
	for _, a := range shipped(t, "rbac").atoms() {
		if !slices.ContainsFunc(rows, func(row string) bool {
			permission, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
			return strings.Contains(permission, "`"+a.verb+"`") && regexp.MustCompile(`\b`+a.resource+`\b`).MatchString(permission)
		}) {
			t.Errorf("docs/install.md has no row for: %s", a)
		}
	}
}
