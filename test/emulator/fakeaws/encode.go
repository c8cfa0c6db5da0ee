package fakeaws

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// XML namespaces of the query services.
var namespaces = map[string]string{
	serviceAutoScaling: "http://autoscaling.amazonaws.com/doc/2011-01-01/",
	serviceEC2:         "http://ec2.amazonaws.com/doc/2016-11-15/",
	serviceIAM:         "https://iam.amazonaws.com/doc/2010-05-08/",
	serviceSTS:         "https://sts.amazonaws.com/doc/2011-06-15/",
}

// An apiError is an error of a service.
type apiError struct {
	Code, Message string
	Status        int // 0 means 400
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

// asAPIError turns other errors into the service's own failure.
func asAPIError(err error) *apiError {
	var known *apiError
	if errors.As(err, &known) {
		return known
	}
	return &apiError{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
}

// invalid is the error of Auto Scaling for nearly every mistake of a caller.
func invalid(format string, args ...any) *apiError {
	return &apiError{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

// unknownAction is each protocol's answer to an unknown action.
func unknownAction(req *request) *apiError {
	if req.json {
		return &apiError{
			Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: "The requested operation is not recognized by the service.",
		}
	}
	if req.service == serviceEC2 {
		return &apiError{Code: "InvalidAction", Message: fmt.Sprintf("The action %s is not valid for this web service.", req.action)}
	}
	return &apiError{
		Code:    "InvalidAction",
		Message: fmt.Sprintf("Could not find operation %s for version %s", req.action, req.form.get("Version")),
	}
}

func encodeResult(req *request, result any) (reply, error) {
	if req.json {
		body, err := json.Marshal(result)
		return jsonReply(req, http.StatusOK, body), err
	}
	if req.service == serviceEC2 {
		if r, ok := result.(interface{ setRequestID(string) }); ok {
			r.setRequestID(req.id)
		}
		return xmlReply(req, http.StatusOK, func(e *xml.Encoder) error {
			return e.EncodeElement(result, element(req.action+"Response", namespaces[req.service]))
		})
	}
	return xmlReply(req, http.StatusOK, func(e *xml.Encoder) error { return encodeQueryResult(e, req, result) })
}

// encodeQueryResult wraps the result as AWS query does: <ActionResponse><ActionResult>…</ActionResult><ResponseMetadata><RequestId>…
func encodeQueryResult(e *xml.Encoder, req *request, result any) error {
	root := element(req.action+"Response", namespaces[req.service])
	if err := e.EncodeToken(root); err != nil {
		return err
	}
	if result != nil {
		if err := e.EncodeElement(result, element(req.action+"Result", "")); err != nil {
			return err
		}
	}
	metadata := struct {
		RequestID string `xml:"RequestId"`
	}{req.id}
	if err := e.EncodeElement(metadata, element("ResponseMetadata", "")); err != nil {
		return err
	}
	return e.EncodeToken(root.End())
}

// element starts an element, with a default namespace if one is given.
func element(name, namespace string) xml.StartElement {
	start := xml.StartElement{Name: xml.Name{Local: name}}
	if namespace != "" {
		start.Attr = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}
	}
	return start
}

// queryError and ec2Error are the error documents of the two query protocols.
type queryError struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

type ec2Error struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string   `xml:"RequestID"`
}

// encodeError writes an error in the service's protocol, or in AWS query for unknown services.
func encodeError(req *request, failure *apiError) reply {
	status := failure.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	if req.service == serviceSQS {
		return sqsError(req, status, failure)
	}
	if req.json {
		body, _ := json.Marshal(map[string]string{"__type": failure.Code, "message": failure.Message})
		p := jsonReply(req, status, body)
		p.header.Set("X-Amzn-Errortype", failure.Code)
		return p
	}
	p, _ := xmlReply(req, status, func(e *xml.Encoder) error { return e.Encode(errorDocument(req, failure, status)) })
	return p
}

// errorDocument is an error in the query protocols.
func errorDocument(req *request, failure *apiError, status int) any {
	if req.service == serviceEC2 {
		return ec2Error{Code: failure.Code, Message: failure.Message, RequestID: req.id}
	}
	return queryError{Namespace: namespaces[req.service], Type: blamed(status), Code: failure.Code, Message: failure.Message, RequestID: req.id}
}

// blamed is who has made the mistake, by the status of the answer.
func blamed(status int) string {
	if status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

func jsonReply(req *request, status int, body []byte) reply {
	contentType := "application/json"
	if req.service == serviceSQS {
		contentType = "application/x-amz-json-1.0"
	}
	return reply{status: status, body: body, header: http.Header{
		"Content-Type":     {contentType},
		"X-Amzn-Requestid": {req.id},
	}}
}

func xmlReply(req *request, status int, encode func(*xml.Encoder) error) (reply, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	err := encode(e)
	if err == nil {
		err = e.Flush()
	}
	return reply{status: status, body: b.Bytes(), header: http.Header{
		"Content-Type":     {"text/xml;charset=UTF-8"},
		"X-Amzn-Requestid": {req.id},
	}}, err
}

// timestamp writes a time as AWS does: UTC, with milliseconds.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// optionalTimestamp is none for the zero time.
func optionalTimestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return timestamp(t)
}
