module github.com/asg-autoscaler/asg-autoscaler/test/repo/tools/lint

go 1.26.0

require (
	github.com/kisielk/errcheck v1.9.0
	golang.org/x/tools v0.47.0
	honnef.co/go/tools v0.7.0
)

require (
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.37.0 // indirect
	golang.org/x/sync v0.21.0 // indirect
)
