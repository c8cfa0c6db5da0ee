package options

import (
	"strings"

	"github.com/spf13/pflag"
)

// Values of --asg-profile, and the flags of the second one.
const (
	ProfileStandard     = "standard"
	ProfileConservative = "conservative"
	conservative        = "--asg-launch-mode=desired-capacity --asg-nominate=off --asg-scale-ups-per-loop=1 --asg-interruption-deadline=leave"
)

// FillProfile sets the flags of the profile that were not given. fs is parsed.
func (a *AWS) FillProfile(fs *pflag.FlagSet) {
	for flag := range strings.FieldsSeq(conservative) {
		name, value, _ := strings.Cut(flag[2:], "=")
		if a.Profile == ProfileConservative && !fs.Changed(name) {
			_ = fs.Lookup(name).Value.Set(value) // a test knows that it may have each
		}
	}
}
