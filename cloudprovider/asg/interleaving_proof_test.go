package asg_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/klog/v2"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/group"
)

// The tests here prove the following, by every interleaving of a write of ours with AWS's steps, one or two other writers, a crash, stale readings
// or lost answers, over a model of AWS. A model, because Auto Scaling may do each of its steps at any time, or never, and an
// emulator does them by its clock: there are orders that no emulator comes to. That the product's calls are what AWS takes for
// such calls is shown by the other tests of this package, over HTTP against fakeaws.
//
//   - Synchronous launches and terminations: AWS never ends an instance that we did not name, however prompt it is.
//   - By the desired capacity, the same holds as long as AWS takes longer to scale in than we to look twice; and however prompt it
//     is, where instances are protected from scale-in. Where neither holds, a launch between our reading and our write, or one
//     under way then, can make AWS end one instance, and so can our being killed between the write and the look after it: the
//     log shows the shortest such order.
//   - Instances that AWS has not begun to launch are given back without such an end, however prompt AWS is, as long as it begins no launch
//     between our look at its launches and our write.
//   - What others want is never knowingly undercut. Their write between our reading and our write is lost, for AWS keeps no
//     record of it; it is restored as far as AWS has launched for it.
//   - A launch in one zone of a group that is scaled zone by zone launches there, and nowhere more than was asked for.
//   - What we ask for is launched once, even if we are killed or answers are lost. By the desired capacity, a process whose
//     first reading is stale can ask for its part once more.
//   - All of this holds for an increase that nobody waits for, with a second one or a termination beside it.
//   - What we know in the end is what there is, once no reading can be older than what we know.
//
// A stale reading shows the group as it was one change before, in some scenarios up to two. Two of them can follow one another, and can follow a newer
// one. Left out are:
//   - more than two other writers, and two together with stale readings, lost answers, zones, weights or crashes
//   - a second zone together with stale readings, lost answers or other writers (but for reclaimed instances), where launches do not name the zone
//   - weights that differ within the group, and weights together with lost answers or two stale readings
//   - crashes together with replacements, weights or a second zone that launches do not name
//   - crashes together with readings that show a part of one launch, or nothing yet of one in a named zone: the next process can ask for the
//     rest once more, for it cannot tell whose it is, or in which zone
//   - readings more than two changes old, and terminations that AWS does in part

// A scenario is a set of acts on one group, ours and others'. The tests enumerate their orders.
type scenario struct {
	name                  string
	mode                  asg.LaunchMode
	lower, desired, upper int
	stock                 int // instances that EC2 has: 0 stands for enough, less for none

	prompt       bool // AWS scales in between two calls of ours, too
	slowLaunches bool // an instance that AWS asks EC2 for is listed at a later step, even when it is not desired any more
	lateAnswers  bool // between AWS's doing something and our learning of it, other scripts of ours may go on
	gone         bool // instances that leave are not listed to the end
	lateListing  bool // instances launched at once are listed later
	protect      bool // instances are protected from scale-in
	announced    bool // AWS begins no launch between our look at its launches and our write
	asIs         bool // what we know in the end is right without another reading
	stale, lost  int  // how many readings show what was before, and how many answers or requests are lost
	depth        int  // how many changes before at most
	weight       int  // of an instance, where 0 stands for 1
	zones        int  // of the group, where 0 stands for 1
	zonal        bool // the group is scaled zone by zone

	before  func(*script) // what we do in peace, first
	script  func(*script) // what we do
	beside  func(*script) // what we do at the same time
	restart func(*script) // our acts in our next life. We can be killed at any step if there is one
	foreign []writer

	check func(*sim) string // checks the end state, and returns "" if it holds
}

// A writer is somebody else, who does one thing after the other.
type writer struct {
	who  string
	acts []act
}

type act struct {
	name string
	do   func(*modelAWS)
}

func (sc *scenario) play(t *testing.T, order *schedule) *sim {
	s := &sim{scenario: sc, t: t, aws: newModelAWS(sc), staleLeft: sc.stale, lossLeft: sc.lost}
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), klog.New(nil)))
	s.life = ctx
	if sc.stock != 0 {
		s.aws.stock = max(0, sc.stock)
	}
	defer func() { // killed processes end, too: their calls time out
		cancel()
		time.Sleep(5 * time.Minute)
	}()
	p := s.newProcess("we")
	p.free = true
	p.look()
	if sc.before != nil {
		sc.before(p.newScript())
	}
	time.Sleep(time.Minute)
	p.look()
	p.free, s.began = false, time.Now()
	s.aws.past, s.aws.pastAt = s.aws.past[len(s.aws.past)-1:], s.aws.pastAt[len(s.aws.pastAt)-1:]
	if sc.beside == nil {
		p.run("", sc.script)
	} else {
		p.run("write", sc.script)
		p.run("do the other", sc.beside)
	}
	if !s.play(order) {
		for _, p := range s.processes {
			p.dead = true
		}
		return nil
	}
	s.agree(order)
	if sc.check != nil {
		if wrong := sc.check(s); wrong != "" {
			s.fail(order, wrong)
		}
	}
	return s
}

// agree checks that our knowledge in the end is true.
func (s *sim) agree(order *schedule) {
	p := s.processes[len(s.processes)-1]
	p.free = true
	for range 2 { // failed increases count in one loop
		p.cache.BeginLoop()
	}
	if !s.asIs {
		time.Sleep(2 * time.Minute) // until no reading can be older than what we know
		p.look()
	}
	type view struct {
		Desired   int
		Requested int             // of ours and withdrawable, where nobody else writes
		Instances map[string]bool // and whether they are leaving
	}
	want, got := view{Desired: s.aws.desired, Instances: map[string]bool{}}, view{Desired: p.group().DesiredCapacity, Instances: map[string]bool{}}
	if s.asIs {
		want.Requested, got.Requested = s.aws.desired-s.aws.counted(), p.group().Withdrawable()
	}
	for _, i := range s.aws.instances {
		if !i.gone {
			want.Instances[i.id] = i.leaving
		}
	}
	for _, i := range p.group().Instances {
		got.Instances[i.ID] = i.Lifecycle.Leaving()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.fail(order, "what we know is not what there is (-AWS +we):\n"+diff)
	}
	for id, times := range s.aws.ended {
		if times > 1 {
			s.fail(order, fmt.Sprintf("%s lowered the desired capacity %d times", id, times))
		}
	}
}

func (p *process) look() {
	s := p.newScript()
	if err := p.cache.Refresh(s.ctx); err != nil {
		p.t.Errorf("refresh: %v", err)
	}
	s.resolve()
}

// resolve looks up what the group launches, where that decides.
func (p *script) resolve() {
	if p.zonal {
		asg.Resolve(p.cache, p.ctx)
	}
}

func (p *process) group() *group.Group { return p.cache.Snapshot().Group("a") }

// Our own acts.

func look(p *script) {
	p.cache.BeginLoop()
	_ = p.cache.Refresh(p.ctx)
	p.resolve()
}

func increase(n int) func(*script) {
	return func(p *script) { p.set = 0; _, _ = p.cache.Increase(p.ctx, "a", n) }
}

// increaseIn launches n in each of the zones, at once.
func increaseIn(n int, zones ...string) func(*script) {
	wanted := map[string]int{}
	for _, zone := range zones {
		wanted[zone] = n
	}
	return func(p *script) { _ = p.cache.IncreaseZones(p.ctx, "a", wanted) }
}

func withdraw(n int) func(*script) {
	return func(p *script) { p.set = 0; _, _, _ = p.cache.Withdraw(p.ctx, "a", n) }
}

func giveBack(n int) func(*script) {
	return func(p *script) {
		p.set = 0
		_, _, _ = p.cache.GiveBack(p.ctx, "a", n)
		p.aws.holds = false
	}
}

func terminate(ids ...string) func(*script) {
	return func(p *script) { _, _ = p.cache.Terminate(p.ctx, "a", ids) }
}

// increaseAtomically launches n or none, in the zone if one is named.
func increaseAtomically(n int, zone string) func(*script) {
	return func(p *script) { _, _ = p.cache.IncreaseAtomically(p.ctx, "a", zone, n) }
}

func replace(ids ...string) func(*script) {
	return func(p *script) { _, _ = p.cache.Replace(p.ctx, "a", ids) }
}

// grow asks for what is missing for n instances, as the core does: by what the last reading showed.
func grow(n int) func(*script) {
	return func(p *script) {
		if g := p.group(); g != nil && g.TargetInstances() < n {
			increase(n - g.TargetInstances())(p)
		}
	}
}

// startIncrease launches n more beside the script, and awaits the answer in the end.
func startIncrease(n int) func(*script) {
	return func(p *script) {
		p.set = 0
		_ = p.cache.StartIncrease(p.ctx, "a", "", n)
		_ = p.cache.AwaitIncreases(p.ctx)
	}
}

// startGrowing is grow for each of the sizes. The later ones come at any moment after the one before, its answer or not.
func startGrowing(sizes ...int) func(*script) {
	return func(p *script) {
		for at, n := range sizes {
			if at > 0 {
				_, _ = p.wait(p.ctx, fmt.Sprintf("grow to %d", n), true)
			}
			if missing := n - p.group().TargetInstances(); missing > 0 {
				_ = p.cache.StartIncrease(p.ctx, "a", "", missing)
			}
		}
		_ = p.cache.AwaitIncreases(p.ctx)
	}
}

// growIn is grow in one zone.
func growIn(zone string, n int) func(*script) {
	return func(p *script) {
		g := p.group()
		if g == nil {
			return
		}
		views, _, _ := p.cache.NodeGroups(g)
		for _, v := range views {
			if v.Zone == zone && v.TargetInstances() < n {
				increaseIn(n-v.TargetInstances(), zone)(p)
			}
		}
	}
}

func oneAfterTheOther(scripts ...func(*script)) func(*script) {
	return func(p *script) {
		for _, script := range scripts {
			script(p)
		}
	}
}

// Acts of other writers.

func sets(who string, desired int) writer {
	return writer{who, []act{{fmt.Sprintf("sets %d", desired), func(m *modelAWS) { m.set(who, desired) }}}}
}

// anotherAutoscaler reads, and then sets what it read and some more.
func anotherAutoscaler(more int) writer {
	const who = "another autoscaler"
	return writer{who, []act{
		{"reads", func(m *modelAWS) { m.read = m.desired }},
		{fmt.Sprintf("sets %d more", more), func(m *modelAWS) { m.set(who, m.read+more) }},
	}}
}

var (
	azRebalance = writer{"AZRebalance", []act{
		{"launches one beyond the desired capacity", func(m *modelAWS) { m.surplus++; m.arrive(zoneA); m.changed("AZRebalance") }},
		{"ends the oldest for it", func(m *modelAWS) { m.surplus--; m.end("AZRebalance", m.oldest(), false) }},
	}}
	instanceRefresh = writer{"instance refresh", []act{{"ends the oldest", func(m *modelAWS) { m.end("instance refresh", m.oldest(), false) }}}}
	reclaim         = writer{"EC2", []act{{"reclaims the oldest", func(m *modelAWS) { m.end("EC2", m.oldest(), false) }}}}
	nodegroupUpdate = writer{"EKS", []act{
		{"raises maximum and desired capacity by 1", func(m *modelAWS) { m.upper++; m.set("EKS", m.desired+1) }},
		{"ends the oldest", func(m *modelAWS) { m.end("EKS", m.oldest(), false) }},
		{"lowers maximum and desired capacity by 1", func(m *modelAWS) { m.upper--; m.set("EKS", min(m.desired-1, m.upper)) }},
	}}
	endsOne = writer{"an operator", []act{{"ends the oldest and lowers the desired capacity", func(m *modelAWS) { m.end("an operator", m.oldest(), true) }}}}
)

func foreigners() []writer {
	return []writer{sets("a scheduled action", 8), sets("a scheduled action", 2), anotherAutoscaler(1), azRebalance, instanceRefresh, reclaim, nodegroupUpdate, endsOne}
}

// A family is scenarios that differ in who else writes.
type family struct {
	scenario
	writers []writer
	kills   bool // AWS may end an instance on account of a write of ours
}

func TestNoInterleavingTerminatesUnnamedInstance(t *testing.T) {
	var all struct {
		sync.Mutex
		orders uint64
		runs   int
	}
	t.Run("all", func(t *testing.T) {
		for _, f := range families() {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				for _, w := range f.writers {
					orders, runs := f.explore(t, w)
					all.Lock()
					all.orders, all.runs = all.orders+orders, all.runs+runs
					all.Unlock()
				}
			})
		}
	})
	t.Logf("%d interleavings, by %d runs", all.orders, all.runs)
}

// explore goes through every order in which the scenario and the writer can come, and returns the first by which AWS ends an
// instance where it may.
func (f *family) explore(t *testing.T, w writer) (orders uint64, runs int) {
	sc := f.scenario
	sc.foreign = append(slices.Clone(f.foreign), w)
	var killing []string
	killed, blind := 0, 0
	orders, runs = everySchedule(t, func(t *testing.T, order *schedule) {
		s := sc.play(t, order)
		if s == nil {
			return
		}
		if s.aws.blind > 0 {
			blind++
		}
		ids := s.aws.killedByUs()
		switch {
		case len(ids) == 0:
			return
		case !f.kills:
			s.fail(order, fmt.Sprintf("AWS ended %v on account of a write of ours", ids))
		case killing == nil || len(order.trace) < len(killing):
			killing = order.trace
		}
		killed++
	})
	t.Logf("%s: %d interleavings, by %d runs; wishes overwritten in %d, instances ended in %d of them", w.who, orders, runs, blind, killed)
	if killing != nil {
		t.Logf("the shortest that ends one:\n%s", numbered(killing))
	}
	return orders, runs
}

func families() []family {
	const now, raise = asg.LaunchAuto, asg.LaunchDesiredCapacity
	var all []family
	add := func(name string, sc scenario, kills bool, writers ...writer) {
		sc.name, sc.desired, sc.upper, sc.depth = name, 3, 10, max(1, sc.depth)
		all = append(all, family{sc, writers, kills})
	}
	everyone := foreigners()
	some := []writer{everyone[0], everyone[1], everyone[2], everyone[5]}
	for _, w := range []struct {
		name    string
		sc      scenario
		writers []writer
	}{
		{"increase", scenario{script: increase(2), stock: 3}, everyone},
		{"withdraw", scenario{before: increase(2), script: withdraw(2), stock: 2}, everyone},
		{"give back", scenario{before: increase(2), script: giveBack(2), stock: 2}, everyone},
		{"give back and increase", scenario{before: increase(2), script: giveBack(2), beside: increase(1), stock: 3}, some},
		{"withdraw and increase", scenario{before: increase(3), script: oneAfterTheOther(withdraw(3), increase(1)), stock: 2}, some[3:]},
		{"terminate", scenario{script: terminate("i-1")}, everyone},
		{"increase and terminate", scenario{script: increase(1), beside: terminate("i-1"), stock: 2}, some},
		{"increase under way and terminate", scenario{script: startIncrease(1), beside: terminate("i-1"), stock: 2}, some[:2]},
		{"increase, a stale reading", scenario{stale: 1, script: increase(2), stock: 2}, some},
		{"increase, a lost answer", scenario{lost: 1, script: increase(2), stock: 4}, some[:1]},
		{"increase, two lost answers", scenario{lost: 2, script: increase(2), stock: 3}, some},
		{"increase, two lost answers and a stale reading", scenario{lost: 2, stale: 1, script: increase(2), stock: 2}, some},
		{"withdraw, a stale reading", scenario{stale: 1, before: increase(2), script: withdraw(2), stock: 1}, some},
		{"withdraw, a lost answer", scenario{lost: 1, before: increase(2), script: withdraw(2), stock: 1}, some},
		{"terminate, a stale reading", scenario{stale: 1, script: terminate("i-1"), stock: 2}, some},
		{"terminate, a lost answer", scenario{lost: 1, script: terminate("i-1"), stock: 2}, some},
		{"increase and read", scenario{lateAnswers: true, script: increase(1), beside: look, stock: -1}, some[:1]},
		{"withdraw and read", scenario{lateAnswers: true, before: increase(2), script: withdraw(2), beside: look, stock: -1}, some[:1]},
		{"terminate and read", scenario{lateAnswers: true, script: terminate("i-1"), beside: look, stock: 1}, some[:1]},
		{"increase and be killed", scenario{script: grow(5), restart: oneAfterTheOther(look, grow(5)), stock: 3}, some[:2]},
	} {
		sc := w.sc
		if sc.before == nil {
			sc.mode, sc.prompt, sc.gone = now, true, sc.beside == nil
			add("synchronous/"+w.name, sc, false, w.writers...)
		}
		sc.mode, sc.prompt, sc.slowLaunches, sc.gone = raise, false, sc.beside == nil, false
		add("desired capacity/"+w.name, sc, sc.restart != nil, w.writers...)
		if sc.beside == nil && sc.stale+sc.lost == 0 && w.name != "terminate" && w.name != "withdraw and increase" {
			sc.prompt, sc.stock = true, 3
			add("desired capacity, AWS scales in at once/"+w.name, sc, true, some...)
			sc.protect = true
			add("desired capacity, instances are protected/"+w.name, sc, false, some...)
		}
	}
	for name, sc := range map[string]scenario{
		"give back":                  {script: giveBack(2), stock: 2},
		"give back, a stale reading": {script: giveBack(2), stock: 2, stale: 1},
		"give back, a lost answer":   {script: giveBack(2), stock: 2, lost: 1},
	} {
		sc.before, sc.mode, sc.prompt, sc.slowLaunches, sc.announced = increase(2), raise, true, true, true
		add("desired capacity, AWS scales in at once, launches not begun/"+name, sc, false, some...)
	}
	nobody := writer{who: "nobody"}
	odd := []writer{sets("a scheduled action", 9), sets("a scheduled action", 3), everyone[5]} // of instances that weigh 2
	for _, w := range []struct {
		name    string
		sc      scenario
		writers []writer
	}{
		{"increase, two stale readings", scenario{stale: 2, depth: 2, script: increase(2), stock: 2}, some},
		{"increase twice, two stale readings", scenario{stale: 2, depth: 2, script: oneAfterTheOther(increase(1), increase(1)), stock: 1}, some[:2]},
		{"increase, withdraw and increase, two stale readings", scenario{stale: 2, depth: 2, script: oneAfterTheOther(increase(2), withdraw(2), increase(1)), stock: 1}, some[3:]},
		{"terminate and increase, two stale readings", scenario{stale: 2, depth: 2, script: oneAfterTheOther(terminate("i-1"), increase(1)), stock: 1}, some},
		{"replace", scenario{script: replace("i-1"), stock: 2}, everyone},
		{"replace, two stale readings", scenario{stale: 2, depth: 2, script: oneAfterTheOther(replace("i-1"), increase(1)), stock: 1}, some[3:]},
		{"replace, a lost answer", scenario{lost: 1, script: replace("i-1"), stock: 1}, some},
		{"replace and increase", scenario{script: increase(1), beside: replace("i-1"), stock: 2}, some[:2]},
		{"weights, increase", scenario{weight: 2, script: increase(2), stock: 3}, odd},
		{"weights, increase and terminate, a stale reading", scenario{weight: 2, stale: 1, script: oneAfterTheOther(increase(1), terminate("i-1")), stock: 2}, odd},
		{"weights, withdraw", scenario{weight: 2, before: increase(2), script: withdraw(2), stock: 2}, odd},
		{"two zones, increase", scenario{zones: 2, script: increase(2), stock: 3}, []writer{nobody}},
		{"two zones, increase and terminate", scenario{zones: 2, script: increase(2), beside: terminate("i-1"), stock: 2}, some[3:]},
	} {
		sc := w.sc
		if sc.before == nil {
			sc.mode, sc.prompt, sc.gone = now, true, sc.beside == nil && sc.stale == 0
			add("synchronous/"+w.name, sc, false, w.writers...)
		}
		sc.mode, sc.prompt, sc.slowLaunches, sc.gone = raise, false, sc.beside == nil && sc.stale < 2, false
		add("desired capacity/"+w.name, sc, false, w.writers...)
	}
	for name, sc := range map[string]scenario{
		"all":                {stock: 3},
		"none":               {stock: 1},
		"a lost answer":      {stock: 1, lost: 1},
		"two stale readings": {stock: 1, stale: 2, depth: 2},
		"weights":            {stock: 1, weight: 2},
	} {
		sc.mode, sc.prompt, sc.gone, sc.script = now, true, true, increaseAtomically(2, "")
		add("atomically/"+name, sc, false, some...)
	}
	add("atomically/two zones", scenario{mode: now, prompt: true, script: increaseAtomically(2, ""), stock: 1, zones: 2}, false, nobody)
	for name, script := range map[string]func(*script){"increase": increase(2), "withdraw": withdraw(1), "terminate": terminate("i-1"),
		"withdraw and increase": oneAfterTheOther(withdraw(2), increase(1)), "terminate and increase": oneAfterTheOther(terminate("i-1"), increase(1))} {
		add("desired capacity, known at once/"+name, scenario{mode: raise, lateAnswers: true, asIs: true, stock: -1, before: increase(2), script: script, beside: look}, false, nobody)
	}
	for name, lists := range map[string]bool{"": false, ", listed late": true} {
		add("synchronous, known at once/increase"+name, scenario{mode: now, lateAnswers: true, lateListing: lists, asIs: true, script: increase(2), beside: look}, false, nobody)
	}
	autoscaler := anotherAutoscaler(1)
	for name, sc := range map[string]scenario{
		"increase":  {script: increase(2), stock: 2},
		"withdraw":  {before: increase(2), script: withdraw(2), stock: 1},
		"terminate": {script: terminate("i-1"), stock: 1},
	} {
		sc.foreign = []writer{autoscaler}
		others := []writer{everyone[0], everyone[1], everyone[5], endsOne}
		if sc.before == nil {
			sc.mode, sc.prompt = now, true
			add("two others, synchronous/"+name, sc, false, others...)
		}
		sc.mode, sc.prompt = raise, false
		add("two others, desired capacity/"+name, sc, false, others...)
	}
	for name, sc := range map[string]scenario{
		"increase":               {script: increaseIn(2, zoneB), stock: 3, check: launchedAtMost(2, zoneB)},
		"increase both":          {script: increaseIn(1, zoneA, zoneB), stock: 2, check: launchedAtMost(1, zoneA, zoneB)},
		"increase and terminate": {script: increaseIn(1, zoneB), beside: terminate("i-1"), stock: 2, check: launchedAtMost(1, zoneB)},
		"a stale reading":        {script: increaseIn(2, zoneB), stale: 1, stock: 2, check: launchedAtMost(2, zoneB)},
		"a lost answer":          {script: increaseIn(2, zoneB), lost: 1, stock: 2, check: launchedAtMost(2, zoneB)},
		"atomically":             {script: increaseAtomically(2, zoneB), stock: 1, check: launchedAtMost(2, zoneB)},
	} {
		sc.mode, sc.prompt, sc.gone, sc.zonal, sc.zones = now, true, sc.beside == nil, true, 2
		add("zonal/"+name, sc, false, some...)
	}
	rest := func(*script) { time.Sleep(61 * time.Second) }
	inB := oneAfterTheOther(look, growIn(zoneB, 3), rest, look, growIn(zoneB, 3))
	for name, sc := range map[string]scenario{
		"killed":                {script: growIn(zoneB, 3), restart: inB},
		"killed in the second":  {script: oneAfterTheOther(growIn(zoneB, 2), growIn(zoneB, 3)), restart: inB},
		"killed, a lost answer": {script: growIn(zoneB, 3), lost: 1, restart: inB},
	} {
		sc.mode, sc.zonal, sc.zones, sc.check = now, true, 2, exactly(5, 0)
		add("zonal once/"+name, sc, false, nobody)
	}
	again := oneAfterTheOther(look, grow(5), rest, look, grow(5))
	for mode, spare := range map[asg.LaunchMode]int{now: 0, raise: 2} {
		once := func(name string, sc scenario, spare int) {
			sc.mode, sc.check = mode, exactly(5, spare)
			add(string(mode)+" once/"+name, sc, false, nobody)
		}
		once("killed", scenario{script: grow(5), restart: again}, 0)
		once("two under way", scenario{script: startGrowing(4, 5)}, 0)
		once("two under way, a lost answer", scenario{lost: 1, script: oneAfterTheOther(startGrowing(4, 5), again)}, 0)
		once("killed with two under way", scenario{script: startGrowing(4, 5), restart: again}, 0)
		once("killed in the second", scenario{script: oneAfterTheOther(grow(4), grow(5)), restart: again}, 0)
		once("killed, a lost answer", scenario{lost: 1, script: oneAfterTheOther(grow(4), again), restart: again}, 0)
		once("killed, a stale reading", scenario{stale: 1, script: grow(5), restart: again}, spare)
		once("two lost answers", scenario{lost: 2, script: oneAfterTheOther(grow(5), again, again)}, 0)
		once("killed, listed late", scenario{lateListing: true, script: oneAfterTheOther(grow(4), grow(5)), restart: again}, 0)
		once("up, down and up", scenario{gone: true, script: oneAfterTheOther(grow(5), terminate("i-3", "i-4"), grow(5)), restart: again}, 0)
	}
	return all
}

// launchedAtMost is that we launched n at most in each of the zones, and none elsewhere.
func launchedAtMost(n int, zones ...string) func(*sim) string {
	return func(s *sim) string {
		launched := map[string]int{}
		for _, l := range s.aws.launches {
			launched[l.zone] += len(l.out.Instances[0].InstanceIds)
		}
		for zone, got := range launched {
			if got > n || !slices.Contains(zones, zone) {
				return fmt.Sprintf("we launched %d in %s, want %d at most in %v", got, zone, n, zones)
			}
		}
		return ""
	}
}

// exactly is that there are n instances in the end, or up to so many to spare.
func exactly(n, spare int) func(*sim) string {
	return func(s *sim) string {
		if s.aws.desired < n || s.aws.desired > n+spare || s.aws.counted() != s.aws.desired {
			return fmt.Sprintf("there are %d of %d desired, want %d", s.aws.counted(), s.aws.desired, n)
		}
		return ""
	}
}
