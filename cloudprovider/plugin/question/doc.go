// Package question reads what a core asks the gRPC expander, and puts the pods of a choice on nodes. It trusts no caller, and it keeps
// no state.
package question
