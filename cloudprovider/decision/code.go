package decision

// Code is the kind of a reason, out of a small set. It is a label of metrics.
type Code string

// Codes of reasons why a group does not help a pod, and why a pod waits.
const (
	CodeNone           Code = ""              // nothing is in the way
	CodeResources      Code = "resources"     // the pod asks for more than a node of the group offers
	CodeAccelerator    Code = "accelerator"   // the group's nodes lack the accelerator, or have too few
	CodeTaint          Code = "taint"         // a taint that the pod does not tolerate
	CodeNodeSelector   Code = "node-selector" // node selector or required node affinity
	CodePodAffinity    Code = "pod-affinity"  // affinity or anti-affinity to other pods
	CodeTopologySpread Code = "topology-spread"
	CodeVolume         Code = "volume"            // a volume's node affinity, a claim that is not bound, or too many volumes
	CodeZone           Code = "zone"              // the pod needs a zone that the group does not have or cannot promise
	CodeResourceClaim  Code = "resource-claim"    // dynamic resource allocation
	CodePorts          Code = "ports"             // host ports
	CodeScheduling     Code = "scheduling"        // another plugin of the scheduler, or it does not use the room on a node
	CodeMaxSize        Code = "max-size"          // the group's maximum
	CodeMaxNodesTotal  Code = "max-nodes-total"   // --max-nodes-total
	CodePaused         Code = "paused"            // the tag of the group's owner, or AWS works on its instances or terminates none; nodes stay, too
	CodeQuota          Code = "quota"             // cluster-wide limits of cores, memory, accelerators, CapacityQuota
	CodeSpendCap       Code = "spend-cap"         // another node would cost more than an owner allows
	CodeCoolDown       Code = "cool-down"         // a launch failed before
	CodeBackoff        Code = "backoff"           // the core's backoff
	CodeNotReady       Code = "not-ready"         // too many nodes of the group are not ready, or an instance does not join
	CodeDegraded       Code = "degraded"          // a fact about the group is missing or wrong
	CodeOtherCluster   Code = "other-cluster"     // the group states another cluster
	CodeDenied         Code = "denied"            // AWS denied a call
	CodeNotChosen      Code = "not-chosen"        // the expander chose another group
	CodeAllOrNothing   Code = "all-or-nothing"    // not all pods of a request fit
	CodeNoGroups       Code = "no-groups"         // discovery found no group
	CodeDelay          Code = "delay"             // the pod is younger than a delay
	CodePriority       Code = "priority"          // the pod's priority is below --expendable-pods-priority-cutoff
	CodeStale          Code = "stale"             // the readings of AWS are too old to act upon
	CodeUnhealthy      Code = "unhealthy-cluster" // the core acts on nothing until more nodes are ready
	CodeLaunching      Code = "launching"         // a node was asked for
	CodeFits           Code = "fits"              // there is a place, on a node or one on its way
)

// Codes of the gauge of pending pods alone.
const (
	CodeIgnored Code = "ignored"  // the autoscaler looks for no node for such a pod, for another reason than its priority
	CodeLeftOut Code = "left-out" // more pods wait than the report has room for
)

// Codes of the outcome of a launch, beside CodeNone for success, CodeLaunching where AWS launches on its own, and CodeDenied.
const (
	CodeNoCapacity    Code = "no-capacity"   // EC2 has none in the pool
	CodeAccountLimit  Code = "account-limit" // the account may have no more instances
	CodeConfiguration Code = "configuration" // AWS refuses what the group would launch
	CodeThrottled     Code = "throttled"
	CodeUnanswered    Code = "unanswered" // the outcome is not known
)

// Codes of reasons why a node stays or goes.
const (
	CodeNeeded        Code = "needed"         // its utilization is above the threshold
	CodeNoPlace       Code = "no-place"       // its pods fit nowhere else
	CodePod           Code = "pod"            // a pod blocks it; the message says how
	CodeMinSize       Code = "min-size"       // the group's minimum
	CodeMinQuota      Code = "min-quota"      // cluster-wide minimum of cores or memory
	CodeAnnotation    Code = "annotation"     // cluster-autoscaler.kubernetes.io/scale-down-disabled
	CodeUnneededDelay Code = "unneeded-delay" // not unneeded for long enough
	CodeScaleDownOff  Code = "scale-down-off" // disabled, or in the delay after another change
	CodeNotAutoscaled Code = "not-autoscaled" // no group of ours
	CodeUnneeded      Code = "unneeded"       // goes
	CodeInterruption  Code = "interruption"   // AWS takes it, or a repair reboots it
	CodeStarting      Code = "starting"
	CodeOther         Code = "other"
)
