package userdata

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// kubeletVariables hold arguments of kubelet, by the customs of the EKS images, kubeadm and kops.
var kubeletVariables = []string{"KUBELET_EXTRA_ARGS", "KUBELET_OPTS", "DAEMON_ARGS", "KUBELET_ARGS"}

func kubeletVariable(name string) bool { return slices.Contains(kubeletVariables, name) }

// unitEnvironment begins a line of a systemd unit.
const unitEnvironment = "Environment"

func (s *shell) call(command *syntax.CallExpr) {
	words := s.fields(command.Args)
	conditional := s.depth > 0 || s.after
	local := map[string]string{}
	for _, a := range command.Assigns {
		mayNotHold := len(words) > 0 && a.Name.Value != unitEnvironment // it holds only for the command behind it
		local[a.Name.Value] = s.assignment(a, conditional || mayNotHold)
	}
	if len(words) > 0 {
		s.command(words, local, conditional)
	}
}

// command reads a command without its assignments, local.
func (s *shell) command(words []string, local map[string]string, conditional bool) {
	switch words[0] {
	case "read", "unset", "getopts", "mapfile", "readarray":
		for _, word := range words[1:] {
			if syntax.ValidName(word) {
				s.vars[word] = unresolved(word)
			}
		}
		return
	case "source", ".":
		if len(words) > 1 && (words[1] == eksctlEnv || strings.HasPrefix(words[1], eksctlScripts)) && s.r.spend(wordWork*len(s.r.eksctlVars)) {
			maps.Copy(s.vars, s.r.eksctlVars)
		}
	}
	if args := bootstrapArgs(words); args != nil {
		s.bootstrap(args, local, conditional)
		return
	}
	if i := slices.Index(words, "-c"); i > 0 && i+1 < len(words) && slices.Contains([]string{"sh", "bash", "su"}, path.Base(words[i-1])) {
		s.within(func() { s.r.runScript(words[i+1], s.nesting+1) })
		return
	}
	if words[0] == "eval" {
		s.within(func() { s.r.runScript(strings.Join(words[1:], " "), s.nesting+1) })
		return
	}
	s.r.setupLocalDisks(words, conditional)
	s.r.mentions(words, conditional)
	if path.Base(local["ExecStart"]) == "kubelet" {
		s.r.addKubeletArgs(words, conditional)
	}
}

func (s *shell) bootstrap(args []string, local map[string]string, conditional bool) {
	c := s.r.bootstrapCall(args[1:])
	c.conditional = conditional
	if value, ok := local["KUBELET_EXTRA_ARGS"]; ok && !c.hasArgs {
		c.args, c.hasArgs = value, true
	}
	s.r.calls = append(s.r.calls, c)
}

func (s *shell) declare(command *syntax.DeclClause) {
	conditional := s.depth > 0 || s.after
	for _, a := range command.Args {
		if !a.Naked {
			s.assignment(a, conditional)
		} else if a.Value != nil { // quoted as a whole
			if name, value, ok := strings.Cut(s.text(a.Value.Parts, quotedInWord), "="); ok && syntax.ValidName(name) {
				s.set(name, value, conditional)
			}
		}
	}
}

func (s *shell) assignment(a *syntax.Assign, conditional bool) string {
	name, value := a.Name.Value, ""
	switch {
	case a.Array != nil || a.Index != nil:
		value = unresolved("")
	case a.Value != nil:
		value = s.text(a.Value.Parts, quotedInWord)
	}
	if a.Append {
		value = s.value(name, true) + value
	}
	s.set(name, value, conditional)
	return value
}

// set sets a variable and notices the ones with a meaning for kubelet. An assignment that may not happen leaves the value known only if it
// does not change.
func (s *shell) set(name, value string, conditional bool) {
	if name == unitEnvironment {
		s.r.mentions([]string{value}, conditional)
		return
	}
	old, known := s.vars[name]
	if s.vars[name] = value; len(value) > maxVariableBytes || conditional && (!known || old != value) {
		s.vars[name] = unresolved(name)
	}
	if kubeletVariable(name) && strings.TrimSpace(value) != "" {
		s.r.kubeletEnv = s.vars[name]
	}
}

// mentions reads the kubelet arguments of a command that does not assign them. The command writes them to a file with echo,
// edits them into one with sed, as is usual in managed node groups, or is kubelet itself.
func (r *reader) mentions(words []string, conditional bool) {
	if path.Base(words[0]) == "kubelet" {
		r.addKubeletArgs(words[1:], conditional)
		return
	}
	for _, word := range words {
		for _, name := range kubeletVariables {
			if at := strings.LastIndex(word, name); at >= 0 && r.spend(4*(len(word)-at)) {
				open := false // the flag before has no value yet
				for _, field := range strings.FieldsFunc(word[at:], func(c rune) bool { return strings.ContainsRune(" \t\n\"'`", c) }) {
					arg := strings.TrimPrefix(strings.TrimPrefix(field, name+"="), name+"+=")
					flag := strings.HasPrefix(arg, "--")
					if flag || open {
						r.addKubeletArgs([]string{arg}, conditional)
					}
					open = flag && !strings.Contains(arg, "=")
				}
				break
			}
		}
	}
}

func (r *reader) addKubeletArgs(args []string, conditional bool) {
	if !conditional {
		r.kubeletArgs = append(r.kubeletArgs, args...)
		return
	}
	for _, arg := range args {
		if flag, value, _ := cutFlag(arg); slices.Contains(kubeletFlags, flag) {
			r.problem(flag, value, nodetemplate.ReasonConditional, "kubelet's arguments to be the same under all conditions")
		}
	}
}

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
