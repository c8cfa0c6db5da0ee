package nodetemplate

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Options are the autoscaling options that a group's tags set, nil leaves the autoscaler's default.
type Options struct {
	ScaleDownUtilizationThreshold    *float64 // ratio, 0 to 1
	ScaleDownGPUUtilizationThreshold *float64 // ratio, 0 to 1
	ScaleDownUnneededTime            *time.Duration
	ScaleDownUnreadyTime             *time.Duration
	MaxNodeProvisionTime             *time.Duration // the stock AWS provider ignores this one
	MaxNodeStartupTime               *time.Duration // and this one
	IgnoreDaemonSetsUtilization      *bool
}

func (o *Options) read(name, value string) *Problem {
	p := o.set(name, value)
	if p != nil && p.Reason == ReasonUnknownOption {
		if lower := strings.ToLower(name); (&Options{}).set(lower, value) == nil {
			p.Example = optionsPrefix + lower + "=" + value
		}
	} else if p != nil {
		p.Example = optionsPrefix + name + "=" + p.Example
	}
	return p
}

// set parses value for the option called name and returns nil if it is fine. Examples hold only the value.
func (o *Options) set(name, value string) *Problem {
	switch name {
	case "scaledownutilizationthreshold":
		return setRatio(&o.ScaleDownUtilizationThreshold, value)
	case "scaledowngpuutilizationthreshold":
		return setRatio(&o.ScaleDownGPUUtilizationThreshold, value)
	case "scaledownunneededtime":
		return setDuration(&o.ScaleDownUnneededTime, value, 0)
	case "scaledownunreadytime":
		return setDuration(&o.ScaleDownUnreadyTime, value, 0)
	case "maxnodeprovisiontime":
		return setDuration(&o.MaxNodeProvisionTime, value, time.Second)
	case "maxnodestartuptime":
		return setDuration(&o.MaxNodeStartupTime, value, 0)
	case "ignoredaemonsetsutilization":
		return setBool(&o.IgnoreDaemonSetsUtilization, value)
	}
	return &Problem{Reason: ReasonUnknownOption, Expected: "one of the options scaledownutilizationthreshold, scaledowngpuutilizationthreshold, " +
		"scaledownunneededtime, scaledownunreadytime, maxnodeprovisiontime, maxnodestartuptime, ignoredaemonsetsutilization"}
}

// setRatio takes any finite number, as the stock autoscaler does: a threshold above 1 means there that every node may go. It
// reports such a value, because 50 is likelier to be meant as a percentage.
func setRatio(to **float64, value string) *Problem {
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return &Problem{Reason: ReasonOptionValue, Expected: "a ratio from 0 to 1", Example: "0.5"}
	}
	*to = &ratio
	if ratio < 0 || ratio > 1 {
		return &Problem{Reason: ReasonOptionRange, Expected: "a ratio from 0 to 1", Example: "0.5", Used: true}
	}
	return nil
}

func setDuration(to **time.Duration, value string, least time.Duration) *Problem {
	d, err := time.ParseDuration(value)
	if err != nil || d < least {
		return &Problem{Reason: ReasonOptionValue, Expected: "a duration with its unit, " + least.String() + " or more", Example: "10m"}
	}
	*to = &d
	return nil
}

func setBool(to **bool, value string) *Problem {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return &Problem{Reason: ReasonOptionValue, Expected: "true or false", Example: "true"}
	}
	*to = &b
	return nil
}
