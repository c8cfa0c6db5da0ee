package lookup

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/awsclient"
)

// Question is one kind of question to AWS.
type Question[V any] struct {
	// Ask makes the call for up to AtOnce keys. It leaves out keys of which AWS knows nothing, and may add others. The Cache keeps values that
	// come with an error.
	Ask    func(ctx context.Context, keys []string) (map[string]V, error)
	AtOnce int
	// Whole: an answer is everything there is, and replaces the one before. Its callers want the key "". Nothing is known while AWS refuses the call.
	Whole   bool
	Age     time.Duration // the time before AWS is asked about a key again
	Keep    time.Duration // the time for which a key is remembered, 0 for ever
	Failure string        // log line for a call that failed, or that AWS refused if Whole
	Remedy  string
	Quiet   func() bool // nobody misses the answer, so a failure before the first one is no news. Nil: it is
}

// Answers are AWS's answers by key. They never change.
type Answers[V any] struct{ byKey map[string]V }

func (a *Answers[V]) All() iter.Seq2[string, V] { return maps.All(a.byKey) }

func (a *Answers[V]) Empty() bool { return len(a.byKey) == 0 }

func (a *Answers[V]) Of(key string) (V, bool) {
	value, known := a.byKey[key]
	return value, known
}

// Cache keeps AWS's answers to one Question. Safe for concurrent use.
type Cache[V any] struct {
	Question[V]
	clock clock.Clock
	asks  bool // false where there is nobody to ask
	wake  chan struct{}

	answered bool   // AWS has answered once. Used by look-ups only, as reported
	reported string // reason of the last failure in the log, "" since an answer

	mu     sync.Mutex
	known  *Answers[V]
	dated  map[string]time.Time // when a key was first wanted or last answered
	wanted map[string]bool
}

// New makes a Cache that knows nothing yet. If asks is false, it knows only what it learns.
func New[V any](c clock.Clock, asks bool, q Question[V]) *Cache[V] {
	return &Cache[V]{Question: q, clock: c, asks: asks, wake: make(chan struct{}, 1),
		known: &Answers[V]{map[string]V{}}, dated: map[string]time.Time{}, wanted: map[string]bool{}}
}

// Known returns AWS's answers so far: the same pointer until there is news, never nil.
func (c *Cache[V]) Known() *Answers[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// Want requests a look-up of the keys, except those that were wanted or answered within the age. It never blocks.
func (c *Cache[V]) Want(keys ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget()
	if !c.asks {
		return
	}
	now := c.clock.Now()
	for _, key := range keys {
		if at, dated := c.dated[key]; !c.wanted[key] && (!dated || now.Sub(at) >= c.Age) {
			c.dated[key], c.wanted[key] = now, true
		}
	}
	if len(c.wanted) > 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// Learn adds values, or replaces all by them if Whole. Their keys, and others without a value, count as answered now, because the request may be long
// ago.
func (c *Cache[V]) Learn(values map[string]V, others ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range slices.AppendSeq(others, maps.Keys(values)) {
		c.dated[key] = c.clock.Now()
		delete(c.wanted, key)
	}
	if len(values) == 0 && !c.Whole {
		return // as after most readings
	}
	known := maps.Clone(c.known.byKey)
	if c.Whole {
		clear(known)
	}
	maps.Copy(known, values)
	c.publish(known)
}

// forget drops the keys that are too old to be kept. The caller holds the lock.
func (c *Cache[V]) forget() {
	if c.Keep == 0 {
		return
	}
	var old []string
	now := c.clock.Now()
	for key, at := range c.dated {
		if now.Sub(at) > c.Keep {
			old = append(old, key)
		}
	}
	if len(old) == 0 { // as in most loops, which ask about every instance
		return
	}
	known := maps.Clone(c.known.byKey)
	for _, key := range old {
		delete(c.dated, key)
		delete(c.wanted, key)
		delete(known, key)
	}
	c.publish(known)
}

// publish replaces the answers, if these are others. The caller holds the lock.
func (c *Cache[V]) publish(known map[string]V) {
	if !reflect.DeepEqual(known, c.known.byKey) {
		c.known = &Answers[V]{known}
	}
}

// lookUp publishes each answer at once. Keys without an answer stay wanted. With none wanted it asks nothing, and AWS may still refuse.
func (c *Cache[V]) lookUp(ctx context.Context) error {
	c.mu.Lock()
	wanted := slices.Sorted(maps.Keys(c.wanted))
	c.mu.Unlock()
	if len(wanted) == 0 {
		return nil
	}
	for keys := range slices.Chunk(wanted, c.AtOnce) {
		values, err := c.Ask(ctx, keys)
		if err != nil {
			if !c.Whole || refuses(err) {
				c.Learn(values)
			}
			return err
		}
		c.Learn(values, keys...)
	}
	c.answered, c.reported = true, ""
	return nil
}

// refuses reports whether AWS answers the question to nobody here, so that a last answer would never end.
func refuses(err error) bool { return awsclient.IsForbidden(err) || awsclient.IsUnknownCall(err) }

// report logs a failure when the reason is news.
func (c *Cache[V]) report(ctx context.Context, err error) {
	reason := awsclient.Reason(err)
	if awsclient.IsUnauthenticated(err) { // which is no denial, and a denial may follow
		reason = "unauthenticated"
	}
	if reason == c.reported || c.Quiet != nil && !c.answered && c.Quiet() {
		return
	}
	c.reported = reason
	log := klog.FromContext(ctx)
	if c.Whole && c.answered && !refuses(err) {
		log.V(2).Info("A look-up failed, its last answer stays", "call", awsclient.Operation(err), "err", awsclient.Brief(err))
		return
	}
	remedy := c.Remedy
	switch {
	case slices.Contains([]string{"timeout", "unreachable"}, reason):
		remedy = "let the network, its proxy and DNS reach an endpoint of the service. It is tried again"
	case awsclient.IsUnauthenticated(err):
		remedy = cmp.Or(awsclient.CredentialsRemedy(err), "none, it is tried again")
	}
	log.Info(c.Failure, "err", awsclient.Brief(err), "remedy", remedy)
}

// Once makes the look-up that is wanted, and logs a failure. It does not go with Run.
func (c *Cache[V]) Once(ctx context.Context) {
	if err := c.lookUp(ctx); err != nil {
		c.report(ctx, err)
	}
}

// Run looks up at once and then at every request, until ctx ends. After a failure it leaves AWS alone for a while, whatever the
// requests, and then tries again. It returns at once where there is nobody to ask.
func (c *Cache[V]) Run(ctx context.Context) {
	for failed := 0; c.asks; {
		waking := c.wake
		var again <-chan time.Time
		if err := c.lookUp(ctx); err == nil {
			failed = 0
		} else {
			if failed++; awsclient.IsDenied(err) && !c.Whole {
				failed = min(failed, awsclient.MostDenials)
			}
			waking, again = nil, c.clock.After(awsclient.RetryAfter(err, failed))
			if ctx.Err() == nil {
				c.report(ctx, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-waking:
		case <-again:
		}
	}
}
