package command

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestWhereAWSPublishesTheOfferOfARegion(t *testing.T) {
	const public, china = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/", "https://pricing.cn-north-1.amazonaws.com.cn/offers/v1.0/cn/"
	for region, want := range map[string]string{
		"us-east-1":      public + "AmazonEC2/current/us-east-1/index.json",
		"us-gov-west-1":  public + "AmazonEC2/current/us-gov-west-1/index.json",
		"cn-north-1":     china + "AmazonEC2/current/cn-north-1/index.json",
		"cn-northwest-1": china + "AmazonEC2/current/cn-northwest-1/index.json",
		"us-iso-east-1":  "", "eusc-de-east-1": "", "": "", "nowhere": "", "../x-y-z": "", "EU-WEST-1": "",
	} {
		got, err := offerURL(region)
		assert.Truef(t, got == want && (err == nil) == (want != ""), "offerURL(%q) = %q, %v, want %q", region, got, err, want)
	}
}
