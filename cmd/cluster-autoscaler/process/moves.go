package process

import (
	"context"
	"errors"

	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient/lookup"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/move"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/processors/scaledown"
)

// newMoves makes the moves that the flags switch on, nil for a process that is to change nothing. Without any it takes off the nodes what moves of
// other flags have left. Their writes end with working.
func (p *Process) newMoves(working context.Context, client kubernetes.Interface, cloud *cloud) (*scaledown.Moves, error) {
	flags := p.options.AWS
	if p.guard != nil || p.refusing != nil {
		return nil, nil
	}
	budgets, err := move.ParseBudgets(flags.MoveBudgets)
	if err != nil {
		return nil, err
	}
	windows, err := move.ParseWindows(flags.MoveWindows)
	if err != nil {
		return nil, err
	}
	if !p.options.ScaleDown && (flags.Rotate || flags.Repair) {
		return nil, errors.New("--asg-rotate and --asg-repair remove nodes, and --scale-down-enabled=false lets none go: leave out either")
	}
	m := &move.Machine{Budgets: budgets, Windows: windows, MaxWait: flags.MoveMaxWait, Proof: flags.MoveProof, AtOnce: 2 * max(1, p.core.MaxDrainParallelism)}
	if flags.Repair {
		rules, err := move.ParseRepairRules(flags.RepairRules)
		if err != nil {
			return nil, err
		}
		m.Reasons = append(m.Reasons, &move.NodeRepair{Rules: rules, MaxUnhealthyPercent: move.DefaultMaxUnhealthyPercent})
	}
	var wantImages func(instances ...string)
	if flags.Rotate {
		images := lookup.NewImages(cloud.clients.EC2, clock.RealClock{})
		go images.Run(working)
		wantImages = images.Want
		m.Reasons = append(m.Reasons, move.Rotate{MaxAge: flags.RotateAge, Image: func(instance string) string {
			image, _ := images.Known().Of(instance)
			return image
		}})
	}
	return scaledown.NewMoves(scaledown.Moves{Machine: m, WantImages: wantImages, Provider: cloud.provider, Writer: move.NewWriter(working, client),
		Metrics: move.NewMetrics(p.registerer), Clock: clock.RealClock{}}), nil
}
