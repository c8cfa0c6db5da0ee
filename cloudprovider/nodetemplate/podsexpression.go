package nodetemplate

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// PodsExpression computes the number of pods on a node from the limits of its instance type, as maxPodsExpression of nodeadm's
// NodeConfig does. "" is none. It is written in CEL over nodeadm's variables (awslabs/amazon-eks-ami, read 2026-11):
//
//	default_enis         network interfaces that the type may have on its first network card
//	ips_per_eni          IPv4 addresses of one of them
//	max_pods             pods that these interfaces can address
//	vcpus                as EC2 states them
//	physical_memory_mib  as EC2 states it
type PodsExpression string

// UnknownPods is an expression that only the node can evaluate.
const UnknownPods PodsExpression = "?"

// Anybody may have written the expression.
const (
	maxExpressionBytes = 1 << 10
	maxExpressionCost  = 10_000 // in units of cel-go, nodeadm's examples cost fewer than 10
	maxExpressionPods  = 1<<31 - 1
)

// podsEnvironment has nodeadm's variables, and none of CEL's macros, which are loops.
var podsEnvironment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.ClearMacros(), cel.Variable("default_enis", cel.IntType), cel.Variable("ips_per_eni", cel.IntType),
		cel.Variable("max_pods", cel.IntType), cel.Variable("vcpus", cel.IntType), cel.Variable("physical_memory_mib", cel.IntType))
})

// program compiles the expression, or returns nil for one that is no CEL, or no whole number.
func (e PodsExpression) program() cel.Program {
	env, err := podsEnvironment()
	if err != nil || len(e) > maxExpressionBytes {
		return nil
	}
	ast, issues := env.Compile(string(e))
	if issues.Err() != nil || ast.OutputType() != cel.IntType {
		return nil
	}
	program, err := env.Program(ast, cel.CostLimit(maxExpressionCost))
	if err != nil {
		return nil
	}
	return program
}

func (e PodsExpression) Understood() bool { return e.program() != nil }

// pods returns the number of pods on a node of type t. Where the expression is no positive number for the type, nodeadm takes
// the number that the interfaces can address, and so does pods. It reports false if the expression is not understood.
func (e PodsExpression) pods(t instancetypes.Type) (int64, bool) {
	addressable := int64(t.ENIMaxPods())
	program := e.program()
	if program == nil {
		return addressable, false
	}
	result, _, err := program.Eval(map[string]any{"default_enis": int64(t.MaxENIs), "ips_per_eni": int64(t.IPv4PerENI),
		"max_pods": addressable, "vcpus": int64(t.VCPU), "physical_memory_mib": t.MemoryBytes / mib})
	if n, ok := result.(types.Int); err == nil && ok && n >= 1 && n <= maxExpressionPods {
		return int64(n), true
	}
	return addressable, true
}
