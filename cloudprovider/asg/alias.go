package asg

import (
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/cooldown"
	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/asg/launchspec"
)

// The types of a group's launches.
type (
	BlockDevice    = launchspec.BlockDevice
	Image          = launchspec.Image
	Launch         = launchspec.LaunchSpec
	LaunchAPIs     = launchspec.APIs
	LaunchSource   = launchspec.Source
	LaunchType     = launchspec.Type
	Nodegroup      = launchspec.Nodegroup
	NodegroupTaint = launchspec.Taint
	OtherTemplate  = launchspec.OtherTemplate
	Override       = launchspec.Override
	Problem        = launchspec.Problem
	Statement      = launchspec.Statement
	TemplateRef    = launchspec.TemplateRef
)

// Problem reasons of launches.
const (
	ReasonImageUnread         = launchspec.ReasonImageUnread
	ReasonLaunchSourceMissing = launchspec.ReasonLaunchSourceMissing
	ReasonLaunchSourceUnread  = launchspec.ReasonLaunchSourceUnread
	ReasonLaunchSuspended     = launchspec.ReasonLaunchSuspended
	ReasonNodegroupUnread     = launchspec.ReasonNodegroupUnread
	ReasonNoInstanceType      = launchspec.ReasonNoInstanceType
)

// The types of cool-downs.
type (
	Failures      = cooldown.Failures
	LaunchFailure = cooldown.Failure
	Pool          = cooldown.Pool
	Rest          = cooldown.Period
	ShiftAPIs     = cooldown.ShiftAPIs
)

// ZonalShift is the class of the cool-down of a zone under a zonal shift.
const ZonalShift = cooldown.ZonalShift
