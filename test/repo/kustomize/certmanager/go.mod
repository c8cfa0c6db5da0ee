module github.com/asg-autoscaler/asg-autoscaler/test/repo/kustomize/certmanager

go 1.26.0

require github.com/cert-manager/cert-manager v1.21.2 // for the definitions of its kinds. Nothing of it is compiled
