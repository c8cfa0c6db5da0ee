package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// request is the standard input.
type request struct {
	Text      string          `json:"text"`
	Variables json.RawMessage `json:"variables"` // values by name, such as {"var": {"cluster_name": "web"}}
}

// block is a block of the configuration but variables and locals, which come before their use. Its arguments and its inner blocks have the
// value true or false, a number, a text, a list or a map.
type block struct {
	Type   string                     `json:"type"`
	Labels []string                   `json:"labels"`
	Body   map[string]json.RawMessage `json:"body"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hcl:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var r request
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return err
	}
	file, diagnostics := hclsyntax.ParseConfig([]byte(r.Text), "main.tf", hcl.InitialPos)
	if diagnostics.HasErrors() {
		return diagnostics
	}
	variables, err := decode(r.Variables)
	if err != nil {
		return err
	}
	scope := &hcl.EvalContext{Variables: variables.AsValueMap(), Functions: functions()}
	var blocks []block
	locals := map[string]cty.Value{}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		if b.Type == "variable" {
			continue
		}
		if b.Type == "locals" {
			for name, attribute := range b.Body.Attributes {
				if locals[name], err = valueOf(attribute.Expr, scope); err != nil {
					return err
				}
			}
			scope.Variables["local"] = cty.ObjectVal(locals)
			continue
		}
		scopes := []*hcl.EvalContext{scope}
		if each, ok := b.Body.Attributes["for_each"]; ok {
			if scopes, err = copies("each", each.Expr, scope); err != nil {
				return err
			}
			delete(b.Body.Attributes, "for_each")
		}
		for _, s := range scopes {
			body, err := evaluate(b.Body, s)
			if err != nil {
				return err
			}
			blocks = append(blocks, block{b.Type, b.Labels, body})
		}
	}
	return json.NewEncoder(out).Encode(blocks)
}

// functions are the functions of Terraform that the configuration may call. The content of user data is of interest, and not its encoding.
func functions() map[string]function.Function {
	same := function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0], nil },
	})
	read := function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := os.ReadFile(args[0].AsString())
			return cty.StringVal(string(text)), err
		},
	})
	return map[string]function.Function{"base64encode": same, "base64decode": same, "coalesce": stdlib.CoalesceFunc, "file": read, "replace": stdlib.ReplaceFunc,
		"jsonencode": stdlib.JSONEncodeFunc, "yamlencode": stdlib.JSONEncodeFunc} // all JSON is YAML
}

// evaluate returns the arguments and the inner blocks of a block by name. Inner blocks are a list.
func evaluate(body *hclsyntax.Body, scope *hcl.EvalContext) (map[string]json.RawMessage, error) {
	result := map[string]json.RawMessage{}
	for name, attribute := range body.Attributes {
		value, err := valueOf(attribute.Expr, scope)
		if err != nil {
			return nil, err
		}
		if result[name], err = ctyjson.Marshal(value, value.Type()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	inner := map[string][]map[string]json.RawMessage{}
	for _, b := range body.Blocks {
		name, scopes, err := repetitions(b, scope)
		if err != nil {
			return nil, err
		}
		content := b.Body
		if b.Type == "dynamic" {
			content = b.Body.Blocks[0].Body
		}
		for _, s := range scopes {
			found, err := evaluate(content, s)
			if err != nil {
				return nil, err
			}
			inner[name] = append(inner[name], found)
		}
	}
	for name, list := range inner {
		raw, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		result[name] = raw
	}
	return result, nil
}

// repetitions returns the name of an inner block and the scope of each of its copies. A dynamic block has one for each value.
func repetitions(b *hclsyntax.Block, scope *hcl.EvalContext) (string, []*hcl.EvalContext, error) {
	if b.Type != "dynamic" {
		return b.Type, []*hcl.EvalContext{scope}, nil
	}
	each, ok := b.Body.Attributes["for_each"]
	if len(b.Labels) != 1 || !ok || len(b.Body.Blocks) != 1 || b.Body.Blocks[0].Type != "content" {
		return "", nil, errors.New("a dynamic block has a label, for_each, and one block content")
	}
	scopes, err := copies(b.Labels[0], each.Expr, scope)
	return b.Labels[0], scopes, err
}

// copies returns a scope for each value of a map, which is known there as name.key and name.value.
func copies(name string, each hclsyntax.Expression, scope *hcl.EvalContext) ([]*hcl.EvalContext, error) {
	values, err := valueOf(each, scope)
	if err != nil {
		return nil, err
	}
	var scopes []*hcl.EvalContext
	for it := values.ElementIterator(); it.Next(); {
		key, value := it.Element()
		s := scope.NewChild()
		s.Variables = map[string]cty.Value{name: cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})}
		scopes = append(scopes, s)
	}
	return scopes, nil
}

// valueOf evaluates an expression. A reference that the scope does not know has its own text as value.
func valueOf(expression hclsyntax.Expression, scope *hcl.EvalContext) (cty.Value, error) {
	value, diagnostics := expression.Value(scope)
	if !diagnostics.HasErrors() {
		return value, nil
	}
	if traversal, problems := hcl.AbsTraversalForExpr(expression); !problems.HasErrors() {
		return cty.StringVal(traversal.RootName() + text(traversal[1:])), nil
	}
	switch expression := expression.(type) {
	case *hclsyntax.TupleConsExpr:
		var values []cty.Value
		for _, e := range expression.Exprs {
			v, err := valueOf(e, scope)
			if err != nil {
				return v, err
			}
			values = append(values, v)
		}
		return cty.TupleVal(values), nil
	case *hclsyntax.RelativeTraversalExpr:
		source, err := valueOf(expression.Source, scope)
		if err != nil {
			return source, err
		}
		return cty.StringVal(source.AsString() + text(expression.Traversal)), nil
	case *hclsyntax.IndexExpr:
		collection, err := valueOf(expression.Collection, scope)
		if err != nil {
			return collection, err
		}
		key, err := valueOf(expression.Key, scope)
		if err != nil || key.Type() != cty.String {
			return collection, err
		}
		return cty.StringVal(collection.AsString() + "." + key.AsString()), nil
	case *hclsyntax.ObjectConsExpr:
		values := map[string]cty.Value{}
		for _, item := range expression.Items {
			key, err := valueOf(item.KeyExpr, scope)
			if err != nil {
				return key, err
			}
			if values[key.AsString()], err = valueOf(item.ValueExpr, scope); err != nil {
				return key, err
			}
		}
		return cty.ObjectVal(values), nil
	}
	return cty.NilVal, diagnostics
}

// text returns the steps of a reference, each behind a dot. The number of an element is left out.
func text(steps hcl.Traversal) string {
	var names string
	for _, step := range steps {
		switch step := step.(type) {
		case hcl.TraverseAttr:
			names += "." + step.Name
		case hcl.TraverseIndex:
			if step.Key.Type() == cty.String {
				names += "." + step.Key.AsString()
			}
		}
	}
	return names
}

func decode(raw json.RawMessage) (cty.Value, error) {
	kind, err := ctyjson.ImpliedType(raw)
	if err != nil {
		return cty.NilVal, err
	}
	return ctyjson.Unmarshal(raw, kind)
}
