package process

import (
	"context"

	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/interruption"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
	"github.com/asg-autoscaler/asg-autoscaler/cmd/cluster-autoscaler/options"
)

// newMoves makes the moves of the flags and of schedules, nil for a process that is to change nothing. Without any it takes off the
// nodes what moves of other flags have left. Their writes end with working.
func (p *Process) newMoves(working context.Context, client kubernetes.Interface, a *assembly) *scaledown.Moves {
	flags := p.options.AWS
	if p.guard != nil || p.refusing != nil {
		return nil
	}
	budgets, _ := move.ParseBudgets(flags.MoveBudgets) // check has refused wrong ones, of the windows and rules, too
	windows, _ := move.ParseWindows(flags.MoveWindows)
	m := &move.Machine{Budgets: budgets, Windows: windows, MaxWait: flags.MoveMaxWait, Proof: flags.MoveProof, AtOnce: 2 * max(1, p.core.MaxDrainParallelism)}
	if flags.Repair {
		rules, _ := move.ParseRepairRules(flags.RepairRules)
		m.Reasons = append(m.Reasons, &move.NodeRepair{Rules: rules, Types: a.cloud.types.Catalogue, Every: p.core.ScanInterval})
	}
	if p.options.ScaleDown && min(p.core.MaxDrainParallelism, p.core.MaxScaleDownParallelism) > 0 {
		m.Reasons = append(m.Reasons, &move.Shrink{Keeps: a.cloud.provider.Keeps})
	}
	var wantImages func(instances ...string)
	if flags.Rotate {
		images := lookup.NewImages(a.cloud.clients.EC2, clock.RealClock{})
		go images.Run(working)
		wantImages = images.Want
		m.Reasons = append(m.Reasons, move.Rotate{MaxAge: flags.RotateAge, Image: func(instance string) string {
			image, _ := images.Known().Of(instance)
			return image
		}})
	}
	var consolidation *scaledown.Consolidation
	if flags.Consolidate != options.ConsolidateOff {
		consolidation = &scaledown.Consolidation{Reason: &move.Consolidate{On: flags.Consolidate == options.ConsolidateOn},
			Horizon: flags.ConsolidateHorizon, KeepSpread: flags.ConsolidateSpread, Provider: a.cloud.provider}
		m.Reasons = append(m.Reasons, consolidation.Reason)
	}
	return scaledown.NewMoves(scaledown.Moves{Machine: m, WantImages: wantImages, Consolidation: consolidation, Provider: a.cloud.provider, Planned: a.plan.Has,
		Writer: move.NewWriter(working, client, interruption.RebootAsked), Metrics: move.NewMetrics(p.registerer), PodsOn: a.podsOn,
		Budgets: a.informers.Policy().V1().PodDisruptionBudgets().Lister(), Clock: clock.RealClock{}})
}
