package pages

import (
	"sync"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/decision"
)

// source is a report that a test changes.
type source struct {
	mutex  sync.Mutex
	report *decision.Report
}

func (s *source) Report() *decision.Report {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.report
}

func (s *source) set(report *decision.Report) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.report = report
}
