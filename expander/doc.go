// Package expander builds the chain of expanders that --expander names. The chain chooses which node group grows.
//
// It works like the Cluster Autoscaler's own chain and knows every expander of it, with these differences. The name least-waste
// means package leastwaste, and stock's expander of that name is least-waste-stock. The name least-cost means package
// leastcost. Price, problems, size and then name break ties instead of chance, so the same input always gives the same answer.
// The random expander still decides by chance. The patterns of the priority expander match zone groups by the name of their Auto Scaling
// group as well. Groups in recently interrupted pools are passed over, unless least-cost weighs them by price.
//
// The package owns the order of the expanders and the report of each choice. It must not import cloudprovider/aws, because an expander
// works with the node groups of any provider, nor the AWS SDK, because every fact about the options is known before.
package expander
