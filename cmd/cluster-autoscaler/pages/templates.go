package pages

import (
	"bytes"
	"fmt"
	"html"
	"reflect"
	"text/template"
	"text/template/parse"
)

// templates are the templates of page.html by name, in the language of text/template without variables, pipes and methods. They have a
// writer of their own, because the standard library's finds methods by name: then the linker keeps all methods of all types. The file is a third
// smaller without them, and the program has no call of AWS that it never makes.
type templates map[string]*parse.Tree

// markup is HTML. All other values are text, which is escaped for where page.html has it: between elements and in quoted attributes.
type markup string

// scope has what a template was given, and what the dot is at the moment.
type scope struct{ given, dot reflect.Value }

func newTemplates() templates {
	text, _ := files.ReadFile("page.html") // which the build embeds
	t, err := parse.Parse("page.html", string(text), "", "", functions)
	if err != nil {
		panic(err)
	}
	return t
}

// write returns the template with the values of dot. A field that dot does not have is an error.
func (t templates) write(name string, dot any) (_ []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write template %s: %v", name, p)
		}
	}()
	var b bytes.Buffer
	given := reflect.ValueOf(dot)
	t.list(&b, t[name].Root, scope{given, given})
	return b.Bytes(), nil
}

func (t templates) list(b *bytes.Buffer, list *parse.ListNode, s scope) {
	if list == nil { // no {{else}}
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			b.Write(n.Text)
		case *parse.ActionNode:
			v := value(n.Pipe, s).Interface()
			if m, ok := v.(markup); ok {
				b.WriteString(string(m))
			} else {
				b.WriteString(html.EscapeString(fmt.Sprint(v)))
			}
		case *parse.IfNode:
			t.branch(b, &n.BranchNode, truth(value(n.Pipe, s).Interface()), s, s)
		case *parse.WithNode:
			v := value(n.Pipe, s)
			t.branch(b, &n.BranchNode, truth(v.Interface()), scope{s.given, v}, s)
		case *parse.RangeNode:
			for _, v := range value(n.Pipe, s).Seq2() {
				t.list(b, n.List, scope{s.given, v})
			}
		case *parse.TemplateNode:
			v := value(n.Pipe, s)
			t.list(b, t[n.Name].Root, scope{v, v})
		default:
			panic(fmt.Sprintf("page.html has a %T", n))
		}
	}
}

func (t templates) branch(b *bytes.Buffer, n *parse.BranchNode, met bool, then, otherwise scope) {
	if met {
		t.list(b, n.List, then)
	} else {
		t.list(b, n.ElseList, otherwise)
	}
}

func truth(v any) bool {
	is, _ := template.IsTrue(v)
	return is
}

func value(node parse.Node, s scope) reflect.Value {
	switch n := node.(type) {
	case *parse.PipeNode:
		return value(n.Cmds[0], s)
	case *parse.CommandNode:
		name, is := n.Args[0].(*parse.IdentifierNode)
		if !is {
			return value(n.Args[0], s)
		}
		function := reflect.ValueOf(functions[name.Ident])
		args := make([]reflect.Value, len(n.Args)-1)
		for i, a := range n.Args[1:] {
			args[i] = value(a, s).Convert(function.Type().In(i))
		}
		return function.Call(args)[0]
	case *parse.DotNode:
		return s.dot
	case *parse.FieldNode:
		return field(s.dot, n.Ident)
	case *parse.VariableNode:
		return field(s.given, n.Ident[1:]) // behind the "$"
	case *parse.StringNode:
		return reflect.ValueOf(n.Text)
	default:
		panic(fmt.Sprintf("page.html has a %T", n))
	}
}

func field(v reflect.Value, names []string) reflect.Value {
	for _, name := range names {
		v = reflect.Indirect(v).FieldByName(name)
	}
	return v
}
