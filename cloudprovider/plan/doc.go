// Package plan has the plan of scale-ups: nodes, each with the pods that it is for.
//
// A Node is one value on its whole way. The expander least-cost plans it, a scale-up asks AWS for it, the list of pending pods puts its
// pods on it, and nominations give it to them. A Plan records the nodes that were asked for. A node that registers takes the oldest entry
// of its group whose pods do not refuse it, because AWS does not say which request an instance answers. A pod is planned for one node at
// most, and the latest plan counts. The package owns this memory, which is bounded and lives as long as the process. It starts no
// goroutine and knows neither the core nor the API server.
package plan
