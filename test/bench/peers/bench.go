package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// A bench runs cases, one run at a time, because times count.
type bench struct {
	options   options
	peers     []peer
	dir       string // of all logs
	ours      string // our program
	karpenter string // Karpenter's
	programs  []string
	progress  io.Writer
}

// repeat runs one case with every peer that can do it, in turns, so that a machine that slows down slows all of them down. Each
// repeat begins with another peer.
func (b *bench) repeat(ctx context.Context, c benchCase, r *report) error {
	var able []peer
	for _, p := range b.peers {
		if p.kind != karpenterKind || !c.groupsOnly {
			able = append(able, p)
		}
	}
	if len(able) == 0 {
		return nil
	}
	outcome := r.add(c, able)
	dir := filepath.Join(b.dir, c.name)
	var errs []error
	var shared *world
	if c.shared {
		var err error
		if shared, err = b.newWorld(ctx, c, dir); err != nil {
			return b.failed(outcome, fmt.Errorf("case %s: %w", c.name, err))
		}
		defer func() { _ = shared.close() }()
	}
	for n := range b.options.repeats {
		for k := range able {
			p := able[(n+k)%len(able)]
			if err := context.Cause(ctx); err != nil {
				return errors.Join(append(errs, err)...)
			}
			figures, err := b.once(ctx, c, p, shared, filepath.Join(dir, fmt.Sprintf("%s-%d", p.name, n+1)))
			if err != nil {
				errs = append(errs, b.failed(outcome, fmt.Errorf("case %s with %s: %w", c.name, p.name, err)))
				continue
			}
			outcome.note(p.name, figures)
			fmt.Fprintf(b.progress, "%s, %s, %d of %d: %s\n", c.name, p.name, n+1, b.options.repeats, figures)
		}
	}
	return errors.Join(errs...)
}

func (b *bench) failed(c *caseReport, err error) error {
	c.Errors = append(c.Errors, err.Error())
	fmt.Fprintf(b.progress, "%v\n", err)
	return err
}

// once runs one peer, in the shared world if there is one, else in a world of its own.
func (b *bench) once(ctx context.Context, c benchCase, p peer, w *world, dir string) (_ figures, err error) {
	if w == nil {
		if w, err = b.newWorld(ctx, c, dir); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
	}
	r := &run{world: w, bench: b, benchCase: c, peer: p}
	ctx, cancel := context.WithTimeoutCause(ctx, b.options.wait+2*b.options.idle, fmt.Errorf("the case takes longer than %s", b.options.wait))
	defer cancel()
	defer func() { err = errors.Join(err, r.end(context.WithoutCancel(ctx))) }()
	if err := r.launch(ctx); err != nil {
		return nil, err
	}
	if err := c.do(ctx, r); err != nil {
		return nil, err
	}
	return r.figures, nil
}

// pause is the time between two looks at a run.
const pause = 100 * time.Millisecond
