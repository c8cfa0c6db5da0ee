package userdata

import (
	"path"
	"slices"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/nodetemplate"
)

// kubeletVariable reports whether a variable of that name holds arguments of kubelet, by the customs of the EKS images,
// kubeadm and kops.
func kubeletVariable(name string) bool {
	switch name {
	case "KUBELET_EXTRA_ARGS", "KUBELET_ARGS", "KUBELET_OPTS", "DAEMON_ARGS":
		return true
	}
	return false
}

// command reads one simple command.
func (s *shell) command(words []string) {
	if s.plain {
		words = s.keywords(words)
	}
	conditional := s.depth > 0 || s.after
	local := map[string]string{}
	environment := len(words) > 0 && !assignmentsOnly(words) // assignments hold only for the command behind them
	for len(words) > 0 {
		name, value, ok := assignment(words[0])
		if !ok {
			break
		}
		local[name] = value
		s.assignment(words[0], conditional || environment)
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "export", "declare", "local", "readonly", "typeset":
		for _, word := range words[1:] {
			s.assignment(word, conditional)
		}
		return
	case "read", "unset", "getopts", "mapfile", "readarray":
		for _, word := range words[1:] {
			if isName(word) {
				s.vars[word] = unresolved(word)
			}
		}
		return
	}
	if args := bootstrapArgs(words); args != nil {
		s.bootstrap(args, local, conditional)
		return
	}
	if i := slices.Index(words, "-c"); i > 0 && i+1 < len(words) && slices.Contains([]string{"sh", "bash", "su"}, path.Base(words[i-1])) {
		s.within(func() { s.r.script(words[i+1], s.nesting+1) })
		return
	}
	if words[0] == "eval" {
		s.within(func() { s.r.script(strings.Join(words[1:], " "), s.nesting+1) })
		return
	}
	s.r.mentions(words, conditional)
	if path.Base(local["ExecStart"]) == "kubelet" {
		s.r.addKubeletArgs(words, conditional)
	}
}

// bootstrap reads a call of bootstrap.sh with the variables set for it alone.
func (s *shell) bootstrap(args []string, local map[string]string, conditional bool) {
	c := s.r.bootstrapCall(args[1:])
	c.conditional = conditional
	if value, ok := local["KUBELET_EXTRA_ARGS"]; ok && !c.hasArgs {
		c.args, c.hasArgs = value, true
	}
	if s.r.useMaxPods == "false" && !slices.Contains(args, "--use-max-pods") {
		c.ignoreAddresses = true
	}
	s.r.calls = append(s.r.calls, c)
}

// keywords removes the shell's keywords from the front of a command, and counts the conditions they open.
func (s *shell) keywords(words []string) []string {
	for len(words) > 0 {
		switch words[0] {
		case "if", "while", "until":
			s.depth++
		case "for", "select":
			s.depth++
			if len(words) > 1 && isName(words[1]) {
				s.vars[words[1]] = unresolved(words[1])
			}
			return nil
		case "case":
			s.depth++
			return nil
		case "fi", "done", "esac":
			s.depth = max(0, s.depth-1)
		case "then", "do", "else", "elif", "!", "{", "}", "time":
		case "function":
			s.functions = true
			return nil
		default:
			return words
		}
		words = words[1:]
	}
	return nil
}

// assignment splits NAME=value and NAME+=value.
func assignment(word string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(word, "=")
	return strings.TrimSuffix(name, "+"), value, ok && isName(strings.TrimSuffix(name, "+"))
}

func assignmentsOnly(words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { _, _, ok := assignment(w); return !ok })
}

// assignment reads one word that may assign a variable.
func (s *shell) assignment(word string, conditional bool) {
	name, value, ok := assignment(word)
	if !ok {
		return
	}
	if strings.HasPrefix(word, name+"+=") {
		value = s.value(name, true) + value
	}
	if name == "Environment" { // a line of a systemd unit
		s.r.mentions([]string{value}, conditional)
		return
	}
	s.assign(name, value, conditional)
	if name == "USE_MAX_PODS" {
		s.r.useMaxPods = s.vars[name]
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
		for _, name := range []string{"KUBELET_EXTRA_ARGS", "KUBELET_OPTS", "DAEMON_ARGS", "KUBELET_ARGS"} {
			if at := strings.LastIndex(word, name); at >= 0 && r.spend(4*(len(word)-at)) {
				for _, field := range strings.FieldsFunc(word[at:], isSpaceOrQuote) {
					if flag := strings.TrimPrefix(strings.TrimPrefix(field, name+"="), name+"+="); strings.HasPrefix(flag, "--") {
						r.addKubeletArgs([]string{flag}, conditional)
					}
				}
				break
			}
		}
	}
}

// addKubeletArgs adds arguments of kubelet, unless they hold only under a condition.
func (r *reader) addKubeletArgs(args []string, conditional bool) {
	if !conditional {
		r.kubeletArgs = append(r.kubeletArgs, args...)
		return
	}
	for _, arg := range args {
		if flag, value, _ := strings.Cut(arg, "="); slices.Contains(kubeletFlags, flag) {
			r.problem(flag, value, nodetemplate.ReasonConditional, "kubelet's arguments to be the same under all conditions")
		}
	}
}

func isSpaceOrQuote(c rune) bool { return strings.ContainsRune(" \t\n\"'`", c) }
