package fakeaws

import (
	"fmt"
	"slices"
	"strings"
)

// launchFailure is the code and text of a failed attempt, as EC2 reports it to Auto Scaling.
type launchFailure struct {
	code string
	text string
	bare bool // no "Could not launch" in front, as for errors found before EC2 is asked
}

// statusMessage is the failure in the history: with capacity type and code for mixed instances policies, plain for groups of
// one template.
func (f launchFailure) statusMessage(mixed bool, capacityType string) string {
	const tail = " Launching EC2 instance failed."
	if f.bare {
		return f.text + tail
	}
	if !mixed {
		return f.text + tail
	}
	market := "On-Demand"
	if capacityType == spot {
		market = "Spot"
	}
	return fmt.Sprintf("Could not launch %s Instances. %s - %s%s", market, f.code, f.text, tail)
}

// poolFailure is why EC2 will not launch in a pool. If it is nil, one instance of the pool is taken.
func (a *account) poolFailure(g *group, p pool) *launchFailure {
	if failure := a.unoffered(p); failure != nil {
		return failure
	}
	short := a.faults.take(g.Name, p)
	if short == nil {
		return nil
	}
	code := first(short.Code, "InsufficientInstanceCapacity")
	return &launchFailure{code: code, text: first(short.Message, a.shortageText(g, p, code))}
}

func (a *account) shortageText(g *group, p pool, code string) string {
	switch code {
	case "UnfulfillableCapacity":
		return "Unable to fulfill capacity due to your request configuration. Please adjust your request and try again."
	case "MaxSpotInstanceCountExceeded":
		return "Max spot instance count exceeded"
	case "VcpuLimitExceeded":
		return "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the " +
			"specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
	case "InsufficientInstanceCapacity":
		if p.capacityType == spot {
			return "There is no Spot capacity available that matches your request."
		}
		return noCapacityText(p, g.Zones)
	}
	return code
}

// noCapacityText is EC2's text for on-demand, which names the other zones.
func noCapacityText(p pool, zones []string) string {
	text := "We currently do not have sufficient " + p.instanceType + " capacity in the Availability Zone you requested (" + p.zone +
		"). Our system will be working on provisioning additional capacity."
	others := slices.DeleteFunc(slices.Clone(zones), func(z string) bool { return z == p.zone })
	if len(others) == 0 {
		return text
	}
	return text + " You can currently get " + p.instanceType + " capacity by not specifying an Availability Zone in your request or choosing " +
		strings.Join(others, ", ") + "."
}
