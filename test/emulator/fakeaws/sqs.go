package fakeaws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
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
	fault := "Sender"
	if status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	body, _ := json.Marshal(map[string]string{"__type": "com.amazonaws.sqs#" + failure.Code, "message": failure.Message})
	p := jsonReply(req, status, body)
	p.header.Set("X-Amzn-Query-Error", first(queryCodes[failure.Code], failure.Code)+";"+fault)
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
