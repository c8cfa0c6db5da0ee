package launchspec

import (
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"
)

// A look-up that IAM denies is one call for all groups, and all groups are looked up once it is allowed.
func TestDeniedLookUpsRetryOneKey(t *testing.T) {
	denied := &smithy.GenericAPIError{Code: "AccessDeniedException"}
	now := clocktesting.NewFakePassiveClock(time.Unix(1, 0))
	m := newMemo[int, string](now, 0)
	const groups = 100
	look := func(answer error) (calls int) {
		for key := range groups {
			m.want(key)
		}
		for _, key := range m.due() {
			calls++
			value := "facts"
			m.put(key, &value, answer)
		}
		return calls
	}
	got := look(denied)
	require.Truef(t, got == groups, "%d calls at first, want one for each of %d groups", got, groups)
	calls, passes, last := 0, 0, now.Now()
	for range 30 * 60 / 2 { // half an hour, as the loop does it
		now.SetTime(now.Now().Add(RetryFirst))
		if m.failing() || now.Since(last) >= RetryMost {
			passes, last = passes+1, now.Now()
			calls += look(denied)
		}
	}
	assert.Truef(t, calls >= 3 && calls <= 20, "%d calls in half an hour while all are denied, want a few", calls)
	assert.Truef(t, passes <= 30, "%d passes over the groups in half an hour, want one in a minute", passes)
	now.SetTime(now.Now().Add(2 * time.Minute))
	assert.Equal(t, 1, look(nil), "calls to find out that it is allowed now")
	assert.True(t, m.failing(), "the others are due soon")
	assert.Equal(t, groups-1, look(nil), "calls once it is allowed, want one for each of the others")
}

// A permission for one key says nothing about another.
func TestDeniedLookUpDelaysNoOthers(t *testing.T) {
	denied := &smithy.GenericAPIError{Code: "AccessDeniedException"}
	now, value := clocktesting.NewFakePassiveClock(time.Unix(1, 0)), "facts"
	m := newMemo[string, string](now, time.Minute)
	m.put("ours", &value, nil)
	m.put("another's", nil, denied)
	for _, key := range []string{"ours", "another's", "new"} {
		m.want(key)
	}
	now.SetTime(time.Unix(2, 0))
	due := m.due()
	assert.Truef(t, len(due) == 1 && due[0] == "new", "due are %q, want the new one", due)
	m.want("ours")
	now.SetTime(time.Unix(61, 0))
	due = m.due()
	assert.Truef(t, len(due) == 1 && due[0] == "ours", "due are %q, want the one that has expired", due)
}
