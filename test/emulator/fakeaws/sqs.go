package fakeaws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readJSON flattens the body of a JSON request into a form, in which lists are numbered from 1 as in AWS query: {"Entries":
// [{"Id": "a"}]} is Entries.1.Id=a.
func readJSON(body []byte) (form, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	out := form{}
	for key, v := range value {
		out.flatten(key, v)
	}
	return out, nil
}

func (f form) flatten(key string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			f.flatten(key+"."+name, member)
		}
	case []any:
		for n, member := range v {
			f.flatten(key+"."+strconv.Itoa(n+1), member)
		}
	case nil:
	default:
		url.Values(f).Set(key, fmt.Sprint(v))
	}
}

// queryCodes are SQS's error codes from before it spoke JSON, where they differ. SDKs still report them.
var queryCodes = map[string]string{
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"MessageNotInflight":           "AWS.SimpleQueueService.MessageNotInflight",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
}

func sqsError(req *request, status int, failure *apiError) reply {
	body, _ := json.Marshal(map[string]string{"__type": "com.amazonaws.sqs#" + failure.Code, "message": failure.Message})
	p := jsonReply(req, status, body)
	p.header.Set("X-Amzn-Query-Error", first(queryCodes[failure.Code], failure.Code)+";"+blamed(status))
	return p
}

// parameter is the error of SQS for values out of range.
func parameter(format string, args ...any) *apiError {
	return &apiError{Code: "InvalidParameterValue", Message: fmt.Sprintf(format, args...)}
}

// findQueue is SQS's look-up. In the URL only the account and the name count, so that any endpoint will do.
func (a *account) findQueue(f form) (*queue, error) {
	u, err := url.Parse(f.get("QueueUrl"))
	if err != nil || u.Path == "" {
		return nil, &apiError{Code: "InvalidAddress", Message: fmt.Sprintf("The address %s is not valid for this endpoint.", f.get("QueueUrl"))}
	}
	if owner, name, ok := strings.Cut(strings.Trim(u.Path, "/"), "/"); ok && owner == a.id {
		if q := a.queue(name); q != nil {
			return q, nil
		}
	}
	return nil, noQueue
}

var noQueue = &apiError{Code: "QueueDoesNotExist", Message: "The specified queue does not exist."}

func (a *account) getQueueURL(r *request) (any, error) {
	q := a.queue(r.form.get("QueueName"))
	if q == nil || first(r.form.get("QueueOwnerAWSAccountId"), a.id) != a.id {
		return nil, noQueue
	}
	return map[string]string{"QueueUrl": q.url}, nil
}

func (a *account) getQueueAttributes(r *request) (any, error) {
	q, err := a.findQueue(r.form)
	if err != nil {
		return nil, err
	}
	names, out := r.form.list("AttributeNames"), map[string]string{}
	all := q.attributes()
	for _, name := range names {
		if _, known := all[name]; !known && name != "All" && name != "RedrivePolicy" && name != "Policy" {
			return nil, &apiError{Code: "InvalidAttributeName", Message: "Unknown Attribute " + name + "."}
		}
	}
	for name, value := range all {
		if slices.Contains(names, "All") || slices.Contains(names, name) {
			out[name] = value
		}
	}
	return map[string]any{"Attributes": out}, nil
}

func (q *queue) attributes() map[string]string {
	whole := func(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
	now := q.snapshot()
	out := map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(now.Visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(now.InFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(now.Delayed),
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.created.Unix(), 10),
		"VisibilityTimeout":                     whole(q.visibility()),
		"MessageRetentionPeriod":                whole(q.retention()),
		"MaximumMessageSize":                    strconv.Itoa(maxMessageBytes),
		"DelaySeconds":                          "0",
		"ReceiveMessageWaitTimeSeconds":         "0",
		"QueueArn":                              q.arn,
		"SqsManagedSseEnabled":                  "true",
	}
	if q.RedrivePolicy != "" {
		out["RedrivePolicy"] = q.RedrivePolicy
	}
	if len(q.Events) > 0 { // EventBridge may send
		out["Policy"] = fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com"]},`+
			`"Action":"sqs:SendMessage","Resource":%q}]}`, q.arn)
	}
	return out
}

// within parses a number of seconds between 0 and the maximum.
func (f form) within(key string, fallback, most time.Duration) (time.Duration, error) {
	n, err := f.number(key, int(fallback.Seconds()))
	if err != nil || n < 0 || n > int(most.Seconds()) {
		return 0, parameter("Value %s for parameter %s is invalid. Reason: Must be >= 0 and <= %d, if provided.", f.get(key), key, int(most.Seconds()))
	}
	return time.Duration(n) * time.Second, nil
}

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
		ID            string `json:"Id"`
		Code, Message string
		SenderFault   bool
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

type (
	sqsReceived struct {
		Messages []sqsMessage `json:"Messages,omitempty"`
	}
	sqsMessage struct {
		Attributes      map[string]string `json:",omitempty"`
		Body, MD5OfBody string
		MessageID       string `json:"MessageId"`
		ReceiptHandle   string
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
