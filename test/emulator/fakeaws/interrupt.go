package fakeaws

import (
	"errors"
	"fmt"
	"time"
)

// EC2's announcements to EventBridge about instances, as Deeds. Each acts on Instances, or on Count (1) that are in service, by
// the seed. An interruption and a rebalance recommendation prefer spot instances. Each leaves an event of the kind Announced.
const (
	// Interrupt warns of a spot interruption, and takes the instance away Notice (2m) later. It may be on its way out by then.
	Interrupt DeedKind = "interrupt"
	// RecommendRebalance warns that an instance is at a higher risk of interruption. A group with capacity rebalancing replaces it.
	RecommendRebalance DeedKind = "rebalance-recommendation"
	// InterruptReservation warns that a capacity reservation takes the instance back, which it does Notice (2m) later.
	InterruptReservation DeedKind = "capacity-reservation-interruption"
	// ScheduleChange makes AWS Health announce maintenance that takes the instance Notice (2m) later. With Backup it is the
	// other Region's event, as in China, and nothing happens.
	ScheduleChange DeedKind = "scheduled-change"
)

// usualNotice is how long before an interruption EC2 warns of it.
const usualNotice = Duration(2 * time.Minute)

// announcements publish the events of the deeds.
var announcements = map[DeedKind]func(*account, *instance, Deed){
	Interrupt: func(a *account, i *instance, _ Deed) {
		a.publish(spotWarning, sourceEC2, []string{a.zonalARN(i)}, interruptionDetail{Instance: i.id, Action: "terminate"})
	},
	RecommendRebalance: func(a *account, i *instance, _ Deed) {
		a.publish(rebalanceAdvice, sourceEC2, []string{a.zonalARN(i)}, interruptionDetail{Instance: i.id})
	},
	InterruptReservation: func(a *account, i *instance, d Deed) {
		ends := time.Now().Add(time.Duration(first(d.Notice, usualNotice))).UTC().Format(time.RFC3339)
		a.publish(capacityWarning, sourceEC2, []string{a.instanceARN(i.id)}, interruptionDetail{i.id, "terminate", ends})
	},
	ScheduleChange: func(a *account, i *instance, d Deed) {
		a.publishHealth(i, time.Now().Add(time.Duration(first(d.Notice, usualNotice))), d.Backup)
	},
}

// announce performs a deed that announces something to EventBridge.
func (a *account) announce(g *group, d Deed) error {
	chosen := a.chosen(g, d)
	if len(chosen) == 0 {
		return errors.New("no such instance in service")
	}
	for _, i := range chosen {
		a.announceOne(i, d)
	}
	return nil
}

// announceOne is announce for one instance, which goes when its time has come.
func (a *account) announceOne(i *instance, d Deed) {
	announcements[d.Kind](a, i, d)
	if d.Kind == RecommendRebalance || d.Kind == Interrupt {
		a.replaceAtRisk(i)
	}
	e := i.event(Announced)
	e.By, e.Message = d.by(), string(d.Kind)
	if d.Kind != RecommendRebalance && !d.Backup {
		notice := first(d.Notice, usualNotice)
		if notice != Never {
			e.Message += " in " + time.Duration(notice).String()
		}
		a.at(time.Now(), notice, func() { a.lose(i) })
	}
	a.events.add(e)
}

// Interrupt warns of a spot interruption of one instance and takes it away when the notice is over. Zero is two minutes. It
// returns an error if there is no such instance.
func (s *Server) Interrupt(instanceID string, notice time.Duration) error {
	return s.Announce(instanceID, Deed{Kind: Interrupt, Notice: Duration(notice)})
}

// Announce performs one of the announcing deeds on one instance, now. It returns an error if there is no such instance, or no such deed.
func (s *Server) Announce(instanceID string, d Deed) error {
	d.Kind = first(d.Kind, Interrupt)
	if announcements[d.Kind] == nil {
		return fmt.Errorf("deed %q is no announcement", d.Kind)
	}
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	i, ok := s.account.instances[instanceID]
	if !ok || i.dead || !i.ended.IsZero() {
		return fmt.Errorf("no instance %q", instanceID)
	}
	s.account.announceOne(i, d)
	return nil
}
