package awsclient

import (
	"context"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
)

// refuseRepeatedPages makes a call fail whose answer names the page that was asked for as the next one, as in the AWS CLI. The SDK would ask for it
// without end.
func refuseRepeatedPages(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RepeatedPage",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
			middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if page := nextToken(in.Parameters); err == nil && page != "" && nextToken(out.Result) == page {
				err = fmt.Errorf("the endpoint names the page %q as the next one after itself", page)
			}
			return out, metadata, err
		}), middleware.Before)
}

// nextToken returns the field NextToken of a call's input or output, which has no other name in the calls that we make.
func nextToken(of any) string {
	if v := reflect.Indirect(reflect.ValueOf(of)); v.Kind() == reflect.Struct && v.FieldByName("NextToken").IsValid() {
		token, _ := v.FieldByName("NextToken").Interface().(*string)
		return aws.ToString(token)
	}
	return ""
}
