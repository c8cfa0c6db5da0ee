package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Kinds of Step that disturb what the autoscaler does to nodes and pods.
const (
	LostWrites    Kind = "lost writes"    // API: the API server carries writes out, and their answers are lost
	KillAtWrite   Kind = "kill at write"  // API: the leader is killed as it makes a write, before or after it, and is back after Down
	UserCordons   Kind = "user cordons"   // Count nodes, from the Pick-th by name, and uncordons them after For, if that is not 0
	UserUncordons Kind = "user uncordons" // Count of the nodes that are cordoned
	UserDeletes   Kind = "user deletes"   // the objects of Count nodes. Their instances stay
	Starved       Kind = "starved"        // the leader gets Count percent of a processor's time
)

// disturbances draws the steps of these kinds from a random source of their own.
func (d *draft) disturbances(p Plan) (steps []Step) {
	d.Rand = rand.New(rand.NewPCG(p.Seed, 0xd157))
	if p.Traits.Divided {
		for _, at := range []time.Duration{d.seconds(2, 6), d.seconds(6, 11)} {
			steps = append(steps, Step{At: at, Kind: Pods, Target: partPods, Count: 1 + d.IntN(parts)})
		}
	}
	kinds := []func() Step{d.lostWrites, d.lostWrites, d.killAtWrite, d.killAtWrite, d.killAtWrite, d.userCordons, d.userUncordons, d.userDeletes, d.starved}
	for range 2 + d.IntN(4) {
		steps = append(steps, d.placed(pick(d.Rand, kinds)()))
	}
	return steps
}

var writeKinds = []string{nodeWrites, podWrites, eitherWrites}

func (d *draft) lostWrites() Step {
	fault := APIFault{Writes: pick(d.Rand, writeKinds), Percent: 30 + d.IntN(71), Late: true}
	switch d.IntN(3) {
	case 0:
		fault.Broken = true
	case 1:
		fault.Hang = true
	default:
		fault.Status = 504
	}
	return Step{Kind: LostWrites, For: d.seconds(1, 8), API: &fault}
}

// mostWrites is the number of the latest write at which a leader is killed. There are few before the faults are over.
const mostWrites = 4

// killAtWrite kills at a write of any kind, or at a nomination.
func (d *draft) killAtWrite() Step {
	fault := APIFault{Writes: pick(d.Rand, writeKinds), Kill: 1 + d.IntN(mostWrites)}
	if d.IntN(2) == 0 {
		fault = nominationKill(fault.Kill)
	}
	fault.Late = d.IntN(2) == 0
	return Step{Kind: KillAtWrite, For: Length, Down: d.seconds(0.1, 3), API: &fault}
}

// nominationKill kills at the n-th write of a nomination, which alone writes the status of pods.
func nominationKill(n int) APIFault { return APIFault{Writes: podWrites, Path: "/status", Kill: n} }

func (d *draft) userCordons() Step {
	s := Step{Kind: UserCordons, Count: 1 + d.IntN(3), Pick: d.IntN(10)}
	if d.IntN(3) > 0 {
		s.For = d.seconds(1, 6)
	}
	return s
}

func (d *draft) userUncordons() Step {
	return Step{Kind: UserUncordons, Count: 1 + d.IntN(3), Pick: d.IntN(10)}
}

func (d *draft) userDeletes() Step {
	return Step{Kind: UserDeletes, Count: 1 + d.IntN(2), Pick: d.IntN(10)}
}

func (d *draft) starved() Step {
	return Step{Kind: Starved, For: d.seconds(3, 8), Count: 10 + d.IntN(31)}
}

// killAtWrite has the front kill the leader at a write.
func (r *run) killAtWrite(id string, s Step) {
	r.front.injectKill(id, *s.API, func() { r.killLeader(s.Down) })
}

// killLeader kills the leader, which is back after down.
func (r *run) killLeader(down time.Duration) {
	if len(r.replicas) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), liveLook)
	defer cancel()
	r.kills.Add(1)
	if err := r.chosen(ctx, leader).kill(down); err != nil {
		r.fault(err)
	}
}

// users remembers the cordons of users, which are theirs to end.
type users struct {
	mu       sync.Mutex
	cordoned map[types.UID]string // names by UID
}

func (u *users) has(node *corev1.Node) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, has := u.cordoned[node.UID]
	return has
}

func (u *users) set(node *corev1.Node, cordoned bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if cordoned {
		u.cordoned[node.UID] = node.Name
	} else {
		delete(u.cordoned, node.UID)
	}
}

// touchable are the names of the nodes that users choose from. Nodes of groups with a minimum are not: a node that is cordoned for good, or
// deleted without its instance, stays in its group for ever.
func (r *run) touchable(nodes map[string]corev1.Node) (names []string) {
	for _, g := range r.aws.Groups() {
		if byName(r.account)[g.Name].Min > 0 {
			continue
		}
		for _, i := range g.Instances {
			if _, joined := nodes[i.Node]; joined {
				names = append(names, i.Node)
			}
		}
	}
	slices.Sort(names)
	return names
}

// some are count of the names from the n-th on, around the end.
func some(names []string, n, count int) (chosen []string) {
	for i := range min(count, len(names)) {
		chosen = append(chosen, names[(n+i)%len(names)])
	}
	return chosen
}

// userActs do what a user with kubectl does.
func (r *run) userActs(s Step) (begin, end func(context.Context) error) {
	var cordoned []corev1.Node
	begin = func(ctx context.Context) error {
		nodes, err := r.nodes(ctx)
		if err != nil {
			return err
		}
		if s.Kind == UserUncordons {
			maps.DeleteFunc(nodes, func(_ string, node corev1.Node) bool { return !node.Spec.Unschedulable })
		}
		for _, name := range some(r.touchable(nodes), s.Pick, s.Count) {
			node := nodes[name]
			switch s.Kind {
			case UserCordons:
				done, err := r.cordon(ctx, node, true)
				if err != nil {
					return err
				}
				if done {
					cordoned = append(cordoned, node)
				}
			case UserUncordons:
				if _, err := r.cordon(ctx, node, false); err != nil {
					return err
				}
			case UserDeletes:
				err := r.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(node.UID))})
				if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
					return fmt.Errorf("delete node %q: %w", name, err)
				}
			}
		}
		return nil
	}
	if s.Kind != UserCordons || s.For == 0 {
		return begin, nil
	}
	return begin, func(ctx context.Context) error {
		for _, node := range cordoned {
			if _, err := r.cordon(ctx, node, false); err != nil {
				return err
			}
		}
		return nil
	}
}

// cordon does as kubectl does: it reads the node, and writes nothing if the node is as wanted. It reports whether it wrote.
func (r *run) cordon(ctx context.Context, node corev1.Node, cordoned bool) (wrote bool, err error) {
	for {
		now, err := r.client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && now.UID != node.UID {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("cordon node %q: %w", node.Name, err)
		}
		if now.Spec.Unschedulable == cordoned {
			return false, nil
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": now.ResourceVersion}, "spec": map[string]any{"unschedulable": cordoned}})
		if err != nil {
			return false, err
		}
		_, err = r.client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		switch {
		case err == nil:
			r.users.set(now, cordoned)
			return true, nil
		case apierrors.IsNotFound(err):
			return false, nil
		case !apierrors.IsConflict(err):
			return false, fmt.Errorf("cordon node %q: %w", node.Name, err)
		}
	}
}

// slice is the period in which a starved process runs once.
const slice = 200 * time.Millisecond

// starve lets the leader run for a part of each slice only, until the function that it returns is called.
func (r *run) starve(percent int) (feed func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			if len(r.replicas) == 0 {
				pause(ctx, slice)
				continue
			}
			looked, done := context.WithTimeout(ctx, liveLook)
			one := r.chosen(looked, leader)
			done()
			resume, err := one.hold()
			if err != nil {
				r.fault(err)
				return
			}
			pause(ctx, slice*time.Duration(100-percent)/100)
			if err := resume(); err != nil {
				r.fault(err)
				return
			}
			pause(ctx, slice*time.Duration(percent)/100)
		}
	})
	return func() {
		cancel()
		work.Wait()
	}
}
