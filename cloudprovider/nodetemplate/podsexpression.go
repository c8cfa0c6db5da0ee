package nodetemplate

import (
	"strconv"
	"strings"

	"github.com/asg-autoscaler/asg-autoscaler/cloudprovider/instancetypes"
)

// PodsExpression computes the number of pods on a node from the limits of its instance type, as maxPodsExpression of nodeadm's
// NodeConfig does. "" is none. It is written in CEL and may use whole numbers, arithmetic, comparisons, the conditional
// operator and parentheses, as in nodeadm's examples (awslabs/amazon-eks-ami, read 2026-11):
//
//	default_enis         network interfaces that the type may have on its first network card
//	ips_per_eni          IPv4 addresses of one of them
//	max_pods             pods that these interfaces can address
//	vcpus                as EC2 states them
//	physical_memory_mib  as EC2 states it
type PodsExpression string

// UnknownPods is an expression that only the node can evaluate.
const UnknownPods PodsExpression = "?"

const (
	maxExpressionBytes  = 1 << 10
	maxExpressionNumber = 1 << 40 // far above any number of pods, and far below the overflow of 64 bits
	maxExpressionPods   = 1<<31 - 1
)

// Understood reports whether the expression can be computed here.
func (e PodsExpression) Understood() bool {
	_, ok := e.eval(instancetypes.Type{})
	return ok
}

// pods returns the number of pods on a node of type t. Where the expression is no positive number for the type, nodeadm takes
// the number that the interfaces can address, and so does pods. It reports false if the expression is not understood.
func (e PodsExpression) pods(t instancetypes.Type) (int64, bool) {
	addressable := int64(t.ENIMaxPods())
	v, ok := e.eval(t)
	if v.failed || v.number < 1 || v.number > maxExpressionPods {
		return addressable, ok
	}
	return v.number, ok
}

// eval computes the expression for a type. It reports false where the text is not understood, whatever the type.
func (e PodsExpression) eval(t instancetypes.Type) (expressionValue, bool) {
	if len(e) > maxExpressionBytes {
		return expressionValue{}, false
	}
	p := expressionParser{rest: string(e), variables: map[string]int64{"default_enis": int64(t.MaxENIs), "ips_per_eni": int64(t.IPv4PerENI),
		"max_pods": int64(t.ENIMaxPods()), "vcpus": int64(t.VCPU), "physical_memory_mib": t.MemoryBytes / mib}}
	v := p.conditional()
	p.space()
	return v, !p.broken && p.rest == "" && !v.logical
}

// expressionValue is a number, or the result of a comparison, 0 or 1.
type expressionValue struct {
	number  int64
	logical bool
	failed  bool // for example a division by zero, it counts only where the value is used
}

// expressionParser computes while it reads.
type expressionParser struct {
	rest      string
	variables map[string]int64
	broken    bool // the text cannot be parsed
}

func (p *expressionParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take consumes the first of the operators that comes next, or returns "".
func (p *expressionParser) take(operators ...string) string {
	p.space()
	for _, o := range operators {
		if strings.HasPrefix(p.rest, o) {
			p.rest = p.rest[len(o):]
			return o
		}
	}
	return ""
}

// want marks the expression as broken where a value has the wrong kind.
func (p *expressionParser) want(v expressionValue, logical bool) expressionValue {
	p.broken = p.broken || v.logical != logical
	return v
}

func (p *expressionParser) conditional() expressionValue {
	v := p.comparison()
	if p.take("?") == "" {
		return v
	}
	p.want(v, true)
	yes := p.comparison()
	p.broken = p.take(":") == "" || p.broken
	if p.broken {
		return v
	}
	no := p.want(p.conditional(), yes.logical)
	switch {
	case v.failed:
		yes.failed = true
	case v.number == 0:
		return no
	}
	return yes
}

func (p *expressionParser) comparison() expressionValue {
	v := p.sum()
	for !p.broken {
		operator := p.take("<=", ">=", "==", "!=", "<", ">")
		if operator == "" {
			break
		}
		w := p.want(p.sum(), v.logical)
		holds := map[string]bool{"<=": v.number <= w.number, ">=": v.number >= w.number, "==": v.number == w.number,
			"!=": v.number != w.number, "<": v.number < w.number, ">": v.number > w.number}[operator]
		v = expressionValue{logical: true, failed: v.failed || w.failed}
		if holds {
			v.number = 1
		}
	}
	return v
}

func (p *expressionParser) sum() expressionValue     { return p.arithmetic(p.product, "+", "-") }
func (p *expressionParser) product() expressionValue { return p.arithmetic(p.unary, "*", "/", "%") }

func (p *expressionParser) arithmetic(term func() expressionValue, operators ...string) expressionValue {
	v := term()
	for !p.broken {
		operator := p.take(operators...)
		if operator == "" {
			break
		}
		p.want(v, false)
		w := p.want(term(), false)
		failed := v.failed || w.failed
		switch {
		case operator == "+":
			v.number += w.number
		case operator == "-":
			v.number -= w.number
		case operator == "*" && v.number != 0 && abs(w.number) > maxExpressionNumber/abs(v.number):
			failed = true
		case operator == "*":
			v.number *= w.number
		case w.number == 0:
			failed = true
		case operator == "/":
			v.number /= w.number
		default:
			v.number %= w.number
		}
		v.failed = failed || abs(v.number) > maxExpressionNumber
		if v.failed {
			v.number = 0
		}
	}
	return v
}

func abs(n int64) int64 { return max(n, -n) }

func (p *expressionParser) unary() expressionValue {
	if p.take("-") != "" {
		v := p.want(p.unary(), false)
		v.number = -v.number
		return v
	}
	if p.take("(") != "" {
		v := p.conditional()
		p.broken = p.broken || p.take(")") == ""
		return v
	}
	end := strings.IndexFunc(p.rest, func(c rune) bool {
		return c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.'
	})
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	if n, ok := p.variables[word]; ok {
		return expressionValue{number: n}
	}
	n, err := strconv.ParseInt(word, 10, 64)
	p.broken = p.broken || err != nil || n > maxExpressionNumber
	return expressionValue{number: n}
}
