package userdata

import (
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
)

// cloudConfig reads the commands and files of a cloud-config document, in cloud-init's order.
func (r *reader) cloudConfig(text string, nesting int) {
	for _, doc := range r.yamlDocuments(text, "cloud-config") {
		r.commands(at[[]any](doc, "bootcmd"), nesting)
		for _, item := range at[[]any](doc, "write_files") {
			r.writtenFile(item, nesting)
		}
		r.commands(at[[]any](doc, "runcmd"), nesting)
	}
}

// commands reads a list of commands, texts or lists of words, as the one script that cloud-init makes of it.
func (r *reader) commands(list []any, nesting int) {
	var script strings.Builder
	for _, item := range list {
		switch item := item.(type) {
		case string:
			script.WriteString(item)
		case []any:
			for _, word := range item {
				if s, ok := word.(string); ok {
					script.WriteString(shellword.Quote(s) + " ")
				}
			}
		}
		script.WriteString("\n")
	}
	if script.Len() > 0 && r.spend(2*script.Len()) {
		r.script(script.String(), nesting+1)
	}
}

// eksctl keeps its settings in a file of variables, and beside it scripts that only pass them on. These lay the second file over kubelet's
// configuration (pkg/nodebootstrap of eksctl-io/eksctl, read 2026-11).
const (
	eksctlEnv     = "/etc/eksctl/kubelet.env"
	eksctlConfig  = "/etc/eksctl/kubelet-extra.json"
	eksctlScripts = "/var/lib/cloud/scripts/eksctl/"
)

func (r *reader) writtenFile(item any, nesting int) {
	path, content := at[string](item, "path"), at[string](item, "content")
	encoding := strings.ToLower(at[string](item, "encoding"))
	if strings.HasPrefix(path, eksctlScripts) {
		return
	}
	if strings.Contains(encoding, "b64") || strings.Contains(encoding, "base64") {
		if content = decodeBase64(content); content == "" {
			return
		}
	}
	content, ok := r.inflate(content)
	if !ok || !r.spend(len(content)) {
		return
	}
	content = clean(content)
	switch path {
	case eksctlEnv:
		r.eksctl(content, nesting)
	case eksctlConfig:
		for _, doc := range r.yamlDocuments(content, path) {
			r.kubelet = r.merge(r.kubelet, doc)
		}
	default:
		r.file(content, nesting+1)
	}
}

// eksctl turns eksctl's variables into the call that its script will make, and keeps them for a script of the owner in its place.
func (r *reader) eksctl(content string, nesting int) {
	s := newShell(r, nesting+1)
	statements, _ := r.parseShell(content)
	s.statements(statements)
	args := ""
	for _, a := range []struct{ variable, flag string }{
		{"NODE_LABELS", "--node-labels"}, {"NODE_TAINTS", "--register-with-taints"}, {"MAX_PODS", "--max-pods"},
	} {
		if value, ok := s.vars[a.variable]; ok && value != "" {
			args += a.flag + "=" + value + " "
		}
	}
	s.vars["KUBELET_EXTRA_ARGS"], r.eksctlVars = args, s.vars
	r.calls = append(r.calls, call{cluster: s.vars["CLUSTER_NAME"], args: args, hasArgs: args != ""})
}
