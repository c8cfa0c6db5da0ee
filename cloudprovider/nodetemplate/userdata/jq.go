package userdata

import (
	"regexp"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// jqEdit matches a line that edits the configuration of kubelet in place: echo "$(jq '.maxPods=58' $CONFIG)" > $CONFIG.
var jqEdit = regexp.MustCompile(`\bjq\b.*[^\w\].]\.?\[?"?(maxPods|kubeReserved|systemReserved|evictionHard|registerWithTaints)\b[^=!<>]*=[^=]`)

// jqEdits reports each setting that a script edits with jq. Filters of jq are not read.
func (r *reader) jqEdits(script string) {
	if !strings.Contains(script, "jq") || !r.spend(4*len(script)) {
		return
	}
	for _, edit := range jqEdit.FindAllStringSubmatch(script, -1) {
		r.problem("jq "+edit[1], "", nodetemplate.ReasonUnresolved, "the setting in a NodeConfig, in the arguments of kubelet or in a file that user data writes")
	}
}
