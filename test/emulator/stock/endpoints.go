package stock

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CloudConfig writes the file for --cloud-config by which the stock autoscaler finds an emulated account, and returns its path.
// Unlike the SDK it is built with, it does not know AWS_ENDPOINT_URL.
func CloudConfig(dir, region, url string) (path string, err error) {
	var config strings.Builder
	for n, service := range []string{"autoscaling", "ec2", "eks"} {
		fmt.Fprintf(&config, "[ServiceOverride %q]\nService = %s\nRegion = %s\nURL = %s\nSigningRegion = %[3]s\n", strconv.Itoa(n), service, region, url)
	}
	path = filepath.Join(dir, "cloud-config")
	return path, os.WriteFile(path, []byte(config.String()), 0o644)
}
