package group

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Named is a group of the --nodes flag with its limits, or a zone group if the name is group/zone.
type Named struct {
	Name             string
	MinSize, MaxSize int
}

func (n Named) String() string { return fmt.Sprintf("%d:%d:%s", n.MinSize, n.MaxSize, n.Name) }

func ParseNamed(spec string) (Named, error) {
	parts := strings.SplitN(spec, ":", 3)
	if len(parts) != 3 || parts[2] == "" {
		return Named{}, fmt.Errorf("want <min>:<max>:<Auto Scaling group name>, such as 0:10:workers")
	}
	least, err := strconv.Atoi(parts[0])
	if err != nil {
		return Named{}, fmt.Errorf("minimum size %q is not a whole number", parts[0])
	}
	most, err := strconv.Atoi(parts[1])
	if err != nil {
		return Named{}, fmt.Errorf("maximum size %q is not a whole number", parts[1])
	}
	if least < 0 || most < least {
		return Named{}, fmt.Errorf("want 0 <= min <= max, got %d and %d", least, most)
	}
	return Named{Name: parts[2], MinSize: least, MaxSize: most}, nil
}

// zoneName matches the names of availability, local and wavelength zones.
var zoneName = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+-[0-9]+[a-z]?$`)

func (n Named) ZoneGroup() (group, zone string, ok bool) {
	at := strings.LastIndexByte(n.Name, '/')
	if at <= 0 || !zoneName.MatchString(n.Name[at+1:]) {
		return "", "", false
	}
	return n.Name[:at], n.Name[at+1:], true
}
