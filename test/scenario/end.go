package scenario

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// leaseName is the lease of the shipped manifests' leader election.
const leaseName = "cluster-autoscaler"

// crash matches a log line of a crash: a panic, an error of Go's runtime such as concurrent writes of a map, or klog's Fatal.
var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |F\d{4} |.*Observed a panic).*$`)

// The liberties a script may take at its end.
const (
	allowUndrained = "undrained"
	allowExit      = "exit"
	allowForbidden = "forbidden"
)

// allow takes back a rule that holds for every script.
func (s *script) allow(args []string) error {
	if args[0] != allowUndrained && args[0] != allowExit && args[0] != allowForbidden {
		return errors.New("allow undrained|exit|forbidden")
	}
	s.allowed[args[0]] = true
	return nil
}

// close ends the script. If the script has passed so far, the autoscaler's end decides.
func (s *script) close(t testscript.T) {
	test, ok := t.(tested)
	if !ok {
		t.Fatal("a script needs a test that knows whether it failed")
	}
	if !test.Failed() && !test.Skipped() {
		if err := s.end(); err != nil {
			test.Error("at the end of the script: " + err.Error())
		}
		if s.other != nil {
			if err := s.inCluster(s.other).end(); err != nil {
				test.Error("at the end of the script, in the second cluster: " + err.Error())
			}
		}
	}
	if test.Failed() {
		t.Log(s.report())
		if s.other != nil {
			t.Log("The second cluster:\n" + s.other.report())
		}
	}
	if err := s.Close(); err != nil {
		test.Error("close the scenario: " + err.Error())
	}
}

// end stops the autoscaler, if the script started one that still runs, and returns the broken rules for every script, see Commands.
func (s *script) end() error {
	if s.Autoscaler() == nil {
		return nil
	}
	var errs []error
	if !s.allowed[allowExit] {
		errs = append(errs, endedCleanly(s.started), s.stockEndedByItself())
		if s.Autoscaler().stopped.Load() && len(s.halves()) == 0 {
			errs = append(errs, leaseReleased(s.ctx, s.client))
		}
	} else if s.Autoscaler().Running() {
		s.Autoscaler().Kill()
	}
	if !s.allowed[allowUndrained] {
		errs = append(errs, s.neverUndrained())
	}
	if !s.allowed[allowForbidden] {
		errs = append(errs, s.neverForbidden())
	}
	return errors.Join(append(errs, s.neverDenied(), s.neverCrashed(), s.neverRaced())...)
}

// endedCleanly stops the running processes. It fails for a process that ended though nobody stopped or killed it.
func endedCleanly(processes []*Autoscaler) error {
	var errs []error
	for _, p := range processes {
		if p.Running() {
			errs = append(errs, p.Stop())
		}
		errs = append(errs, p.endedByItself())
	}
	return errors.Join(errs...)
}

// leaseReleased fails while somebody holds the lease. A lease that nobody has ever held is released.
func leaseReleased(ctx context.Context, client kubernetes.Interface) error {
	lease, err := client.CoordinationV1().Leases(serviceAccountNamespace).Get(ctx, leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the lease: %w", err)
	}
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
		return fmt.Errorf("the autoscaler has stopped, but %q still holds the lease", *holder)
	}
	return nil
}

func (s *script) neverCrashed() error {
	log, err := s.Log()
	if err != nil {
		return err
	}
	for _, line := range crash.FindAllString(log, -1) {
		if s.allowed[allowExit] && strings.HasPrefix(line, "F") {
			continue // the line in which klog says why it ends the process
		}
		return fmt.Errorf("the autoscaler crashed: %s", line)
	}
	return nil
}

func (s *script) neverUndrained() error {
	if s.AWS == nil {
		return nil
	}
	if kills := UndrainedKills(s.Timeline.Since(time.Time{}), s.AWS.Events()); len(kills) > 0 {
		return fmt.Errorf("instance %s was terminated undrained: %s", kills[0].Object, kills[0].Detail)
	}
	return nil
}
