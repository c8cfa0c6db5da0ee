// Package recipes holds the recipes in docs/recipes to the programs: their Terraform and eksctl snippets make the groups that
// they promise, and asgctl prints what they show.
//
// The Terraform example in manifests/terraform is held to the shipped policies and the chart.
//
// It owns these checks, which are tests alone. The emulated AWS has the groups of the snippets. Terraform's language is read by
// the nested module hcl.
package recipes
