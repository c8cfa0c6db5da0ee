module github.com/asg-autoscaler/asg-autoscaler/test/repo/kustomize/operator

go 1.26.0

// The Prometheus Operator, for its definitions of ServiceMonitor and PrometheusRule. Nothing of it is built.
require github.com/prometheus-operator/prometheus-operator v0.86.1
