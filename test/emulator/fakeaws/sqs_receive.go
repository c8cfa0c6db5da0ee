package fakeaws

import (
	"slices"
	"strconv"
	"time"
)

type (
	sqsReceived struct {
		Messages []sqsMessage `json:"Messages,omitempty"`
	}
	sqsMessage struct {
		Attributes    map[string]string `json:",omitempty"`
		Body          string
		MD5OfBody     string
		MessageID     string `json:"MessageId"`
		ReceiptHandle string
	}
)

// receiveMessage answers at once if there are messages, and otherwise when one comes or the wait is over.
func (a *account) receiveMessage(r *request) (any, error) {
	q, err := a.findQueue(r.form)
	if err != nil {
		return nil, err
	}
	limit, err := r.form.number("MaxNumberOfMessages", 1)
	if err != nil || limit < 1 || limit > maxReceived {
		return nil, parameter("Value %s for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and %d, if provided.",
			r.form.get("MaxNumberOfMessages"), maxReceived)
	}
	hide, err := r.form.within("VisibilityTimeout", q.visibility(), maxVisibility)
	if err != nil {
		return nil, err
	}
	wait, err := r.form.within("WaitTimeSeconds", 0, maxWaitTime)
	if err != nil {
		return nil, err
	}
	names := append(r.form.list("AttributeNames"), r.form.list("MessageSystemAttributeNames")...)
	end := time.Now().Add(wait)
	var look func() any
	look = func() any {
		var out sqsReceived
		for _, m := range q.take(limit, hide) {
			out.Messages = append(out.Messages, q.shape(m, a, names))
		}
		if len(out.Messages) > 0 || !time.Now().Before(end) {
			return out
		}
		return polling{changed: q.changed, due: earliest(end, q.next()), again: look}
	}
	return look(), nil
}

// earliest is the first of the times that are not zero.
func earliest(end, other time.Time) time.Time {
	if !other.IsZero() && other.Before(end) {
		return other
	}
	return end
}

// shape is a message as it is received, with the requested attributes.
func (q *queue) shape(m *message, a *account, names []string) sqsMessage {
	millis := func(t time.Time) string { return strconv.FormatInt(t.Add(a.skew).UnixMilli(), 10) }
	out := sqsMessage{Body: m.body, MD5OfBody: md5Of(m.body), MessageID: m.id, ReceiptHandle: q.handle(m)}
	for name, value := range map[string]string{
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": millis(m.first),
		"SentTimestamp":                    millis(m.sent),
		"SenderId":                         a.id,
	} {
		if slices.Contains(names, "All") || slices.Contains(names, name) {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = value
		}
	}
	return out
}
