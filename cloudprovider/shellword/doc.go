// Package shellword writes words of commands that an operator pastes into a shell, and checks words that an operator chose. Names of groups come from
// whoever may make groups.
package shellword
