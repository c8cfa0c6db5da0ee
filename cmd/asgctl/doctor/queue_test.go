package doctor

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Messages may come from EventBridge or through SNS. The shipped queue denies what is not encrypted to everybody, which lets nobody in.
func TestPoliciesThatLetInterruptionsIn(t *testing.T) {
	const unencrypted = `{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"arn:aws:sqs:us-west-2:123456789012:q"}`
	for policy, want := range map[string]bool{
		``:                                    false,
		`{"Statement":[` + unencrypted + `]}`: false,
		`{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:role/events"},"Action":"sqs:SendMessage"}]}`:          false,
		`{"Statement":[` + unencrypted + `,{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com"]},"Action":"sqs:SendMessage"}]}`: true,
		`{"Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage"}}`:                            true,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage",` +
			`"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws-cn:events:cn-north-1:123456789012:rule/spot"}}}]}`: true,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"SQS:SendMessage",` +
			`"Condition":{"ArnLike":{"aws:SourceArn":["arn:aws:sns:us-west-2:123456789012:topic"]}}}]}`: true,
	} {
		assert.Equal(t, want, sender.MatchString(policy), policy)
	}
}
