// Package plan keeps for which pods the nodes under way were asked for.
//
// A raise adds its nodes, each with its pods. A node that registers takes the oldest entry of its group, because AWS does not say which
// request an instance answers. A pod is planned for one node at most, and the latest plan counts. The package owns this memory, which is
// bounded and lives as long as the process. It starts no goroutine and knows neither the core nor the API server.
package plan
