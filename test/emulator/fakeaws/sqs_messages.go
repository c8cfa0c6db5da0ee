package fakeaws

import (
	"fmt"
	"time"
)

func (a *account) sendMessage(r *request) (any, error) {
	q, err := a.findQueue(r.form)
	if err != nil {
		return nil, err
	}
	body := r.form.get("MessageBody")
	if body == "" {
		return nil, &apiError{Code: "MissingParameter", Message: "The request must contain the parameter MessageBody."}
	}
	if len(body) > maxMessageBytes {
		return nil, parameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", maxMessageBytes)
	}
	delay, err := r.form.within("DelaySeconds", 0, maxDelay)
	if err != nil {
		return nil, err
	}
	m := q.send(body, delay)
	return map[string]string{"MD5OfMessageBody": md5Of(body), "MessageId": m.id}, nil
}

// discard deletes a message. With a handle that is not the newest, or of a message that is gone, it silently does nothing (API
// reference, DeleteMessage).
func (q *queue) discard(f form) (any, error) {
	m, newest, err := q.find(f.get("ReceiptHandle"))
	if err != nil {
		return nil, err
	}
	if newest {
		q.remove(m)
		q.deleted++
	}
	return map[string]string{"Id": f.get("Id")}, nil
}

// hide sets for how long from now a message in flight stays hidden. 0 makes it visible.
func (q *queue) hide(f form) (any, error) {
	m, newest, err := q.find(f.get("ReceiptHandle"))
	if err != nil {
		return nil, err
	}
	timeout, err := f.within("VisibilityTimeout", 0, maxVisibility)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case m == nil:
		return nil, parameter("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.",
			f.get("ReceiptHandle"))
	case !newest || !m.visible.After(now):
		return nil, &apiError{Code: "MessageNotInflight", Message: "The message referred to is not in flight."}
	case now.Add(timeout).After(m.last.Add(maxVisibility)):
		return nil, parameter("Total VisibilityTimeout for the message is beyond the limit [%d seconds]", int(maxVisibility.Seconds()))
	}
	m.visible = now.Add(timeout)
	q.wake()
	return map[string]string{"Id": f.get("Id")}, nil
}

type (
	sqsBatch struct {
		Successful []any       `json:"Successful"`
		Failed     []sqsFailed `json:"Failed"`
	}
	sqsFailed struct {
		ID          string `json:"Id"`
		Code        string
		Message     string
		SenderFault bool
	}
)

// batch turns an operation on a single message into one on entries.
func batch(one func(*queue, form) (any, error)) operation {
	return func(a *account, r *request) (any, error) {
		q, err := a.findQueue(r.form)
		if err != nil {
			return nil, err
		}
		entries := r.form.structs("Entries")
		if err := checkBatch(entries); err != nil {
			return nil, err
		}
		out := sqsBatch{Successful: []any{}, Failed: []sqsFailed{}}
		for _, entry := range entries {
			done, err := one(q, entry)
			if err != nil {
				known := asAPIError(err)
				out.Failed = append(out.Failed, sqsFailed{entry.get("Id"), known.Code, known.Message, true})
				continue
			}
			out.Successful = append(out.Successful, done)
		}
		return out, nil
	}
}

func checkBatch(entries []form) error {
	seen := map[string]bool{}
	for _, entry := range entries {
		id := entry.get("Id")
		if seen[id] {
			return &apiError{Code: "BatchEntryIdsNotDistinct", Message: "Id " + id + " repeated."}
		}
		seen[id] = true
	}
	switch {
	case len(entries) == 0:
		return &apiError{Code: "EmptyBatchRequest", Message: "There should be at least one entry in the request."}
	case len(entries) > maxReceived:
		return &apiError{
			Code:    "TooManyEntriesInBatchRequest",
			Message: fmt.Sprintf("Maximum number of entries per request are %d. You have sent %d.", maxReceived, len(entries)),
		}
	}
	return nil
}
