package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp/syntax"
	"slices"
	"strings"
	"syscall"

	dto "github.com/prometheus/client_model/go"

	"github.com/asg-autoscaler/asg-autoscaler/test/emulator/fakeaws"
)

// A prohibition holds for every name that does not exist, so a typing error or a renamed message would make it hold always.
// Each name in a prohibition is therefore looked up first, and so is the name of an event or a taint of which none is expected.

// knownGroup fails unless the account has, or had, the group.
func (s *script) knownGroup(name string) error {
	if s.AWS == nil {
		return errors.New("no AWS account yet; start it with: aws FILE")
	}
	if _, present := s.AWS.Group(name); present {
		return nil
	}
	if slices.ContainsFunc(s.AWS.Events(), func(e fakeaws.Event) bool { return e.Kind == fakeaws.GroupDeleted && e.Group == name }) {
		return nil
	}
	return fmt.Errorf("no auto scaling group %q", name)
}

// knownAction fails unless the emulated AWS has the action.
func knownAction(name string) error {
	if fakeaws.Serves(name) {
		return nil
	}
	return fmt.Errorf("the emulated AWS has no action %q", name)
}

// knownPattern fails if the pattern has words that no message of the program has. Each literal part of the pattern must occur
// in the program's file, so a pattern for a prohibition may use the words of a message, and not its variables.
func (s *script) knownPattern(pattern string) error {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return err
	}
	return s.programHolds(literals(parsed))
}

// literals returns the texts that a match of the expression, or of one of its alternatives, must contain.
func literals(expression *syntax.Regexp) []string {
	switch expression.Op {
	case syntax.OpLiteral:
		return []string{string(expression.Rune)}
	case syntax.OpConcat, syntax.OpAlternate, syntax.OpCapture, syntax.OpPlus:
		var all []string
		for _, sub := range expression.Sub {
			all = append(all, literals(sub)...)
		}
		return all
	default:
		return nil
	}
}

// programHolds fails with the first text that the program's file does not contain.
func (s *script) programHolds(texts []string) error {
	file, err := os.Open(s.binary)
	if err != nil {
		return fmt.Errorf("look up a name in the program: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("look up a name in the program: %w", err)
	}
	program, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("look up a name in the program: %w", err)
	}
	defer syscall.Munmap(program) //nolint:errcheck // nothing was written
	for _, text := range texts {
		if !bytes.Contains(program, []byte(text)) {
			return fmt.Errorf("no message of the program holds %q, so it cannot occur; write the pattern with the constant words of a message", text)
		}
	}
	return nil
}

// knownMetric fails if the program has no metric of the name, or the metric has no label of one of the names. A metric without
// samples is not scraped, so its name is looked up in the program, where the prefixes stand apart.
func (s *script) knownMetric(families map[string]*dto.MetricFamily, name string, labels map[string]string) error {
	samples := families[name].GetMetric()
	if len(samples) == 0 {
		short := strings.TrimPrefix(strings.TrimPrefix(name, corePrefix), ourPrefix)
		return s.programHolds([]string{short})
	}
	for label := range labels {
		if !slices.ContainsFunc(samples, func(m *dto.Metric) bool {
			return slices.ContainsFunc(m.GetLabel(), func(p *dto.LabelPair) bool { return p.GetName() == label })
		}) {
			return fmt.Errorf("metric %q has no label %q", name, label)
		}
	}
	return nil
}
