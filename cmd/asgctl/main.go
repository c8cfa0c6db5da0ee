package main

import (
	"os"

	"github.com/asg-autoscaler/asg-autoscaler/cmd/asgctl/command"
)

// version is this binary's version. The build sets it.
var version = "unknown"

func main() { os.Exit(command.Main(version)) }
