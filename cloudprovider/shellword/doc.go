// Package shellword writes words of commands that an operator pastes into a shell. Names of groups come from whoever may make groups.
package shellword
