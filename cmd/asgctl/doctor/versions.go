package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/shellword"
	"github.com/asg-autoscaler/asg-autoscaler/pricing"
)

// Minor versions of Kubernetes 1. The autoscaler simulates the scheduler of ownMinor, and one more release changes little. The
// tests run with oldestMinor.
const (
	oldestMinor = 32
	newestMinor = 36
	ownMinor    = 35
)

// maxAge is the age at which the tables inside the binary lack many newer types.
const maxAge = 365 * 24 * time.Hour

func checkVersions(_ context.Context, in *installation, c *Check) (looked bool) {
	if !in.server.missing(c) {
		looked = true
		minor, err := strconv.Atoi(strings.TrimRight(in.server.value.Minor, "+"))
		if err == nil && (minor < oldestMinor || minor > newestMinor) {
			c.find("API server", fmt.Sprintf("it has version %s, and the autoscaler is for 1.%d to 1.%d: it simulates the scheduler of 1.%d",
				in.server.value.GitVersion, oldestMinor, newestMinor, ownMinor), "GET /version", "kubectl version")
		}
	}
	if in.pods.missing(c) {
		return looked
	}
	var images []string
	for _, pod := range in.ours {
		if _, c := autoscalerIn(&pod); !slices.Contains(images, c.Image) {
			images = append(images, c.Image)
		}
	}
	if len(images) > 1 {
		c.find(fmt.Sprintf("replicas in namespace %s", in.namespace), fmt.Sprintf("they run %d images: the next leader decides otherwise than this one", len(images)),
			fmt.Sprintf("%q and %q", images[0], images[1]), "kubectl --namespace "+shellword.Quote(in.namespace)+" rollout status "+shellword.Quote(in.ourDeployment()))
	}
	return true
}

// checkData looks at the built-in lists. Where the autoscaler has a file of its own instead, only its pod has that file.
func checkData(_ context.Context, in *installation, c *Check) (looked bool) {
	for _, table := range []struct {
		of, flag string
		date     time.Time
		next     string
	}{
		{"instance types", "aws-instance-types-file", instancetypes.Embedded().Date(), "aws ec2 describe-instance-types --output json > types.json, and give it to --aws-instance-types-file"},
		{"prices", "aws-price-file", pricing.Embedded(in.region).Origin().Date, "asgctl prices refresh --region " + shellword.Quote(in.region) + " --to prices.csv, and give it to --aws-price-file"},
	} {
		if file := in.flags.last(table.flag); file != "" {
			c.skip("the date of "+file, "--"+table.flag+" names it", "the file, which only the pod has")
			continue
		}
		if age := in.Now().Sub(table.date); !table.date.IsZero() && age > maxAge {
			c.find("built-in list of "+table.of, fmt.Sprintf("it is %d days old", int(age.Hours()/24)), "its date, "+table.date.Format(time.DateOnly), table.next)
		}
	}
	return true
}
