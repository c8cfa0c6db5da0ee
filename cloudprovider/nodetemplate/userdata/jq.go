package userdata

import (
	"regexp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// jqEdit matches a line that edits the configuration of kubelet in place: echo "$(jq '.maxPods=58' $CONFIG)" > $CONFIG.
var jqEdit = regexp.MustCompile(`\bjq\b.*[^\w\].]\.?\[?"?(maxPods|kubeReserved|systemReserved|evictionHard|registerWithTaints)\b[^=!<>]*=[^=]`)

// HugePages is the key of the Problem about memory that user data takes from pods. A tag cures it.
const HugePages = "huge pages"

// takesMemory matches a line that sets huge pages aside, in a script or in Bottlerocket's settings, or starts the allocator of Nitro
// Enclaves, which does so.
var takesMemory = regexp.MustCompile(
	`nr_hugepages["']?[ \t]*=[ \t]*["']?[1-9$]|(?:>|\btee\b)[^\n;&|]*nr_hugepages|nitro[-_]enclaves[-/]allocator` +
		`|\bhugepages["']?[ \t]*=[ \t]*\[?[ \t]*["']?[1-9$]`)

func (r *reader) takenMemory(text string) {
	mentioned := strings.Contains(text, "hugepages") || strings.Contains(text, "nitro")
	if mentioned && r.spend(4*len(text)) && takesMemory.MatchString(text) {
		r.problem(HugePages, "", nodetemplate.ReasonUnresolved,
			"this memory in a tag node-template/resources/hugepages-2Mi or hugepages-1Gi, for it counts for pods")
	}
}

// jqEdits reports each setting that a script edits with jq, and memory that it takes from pods. Filters of jq are not read.
func (r *reader) jqEdits(script string) {
	r.takenMemory(script)
	if !strings.Contains(script, "jq") || !r.spend(4*len(script)) {
		return
	}
	for _, edit := range jqEdit.FindAllStringSubmatch(script, -1) {
		r.problem("jq "+edit[1], "", nodetemplate.ReasonUnresolved, "the setting in a NodeConfig, in the arguments of kubelet or in a file that user data writes")
	}
}
