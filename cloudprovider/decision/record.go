package decision

// Record holds the decisions of the running process. It is safe for use by several goroutines.
type Record struct{}

// Report returns what is known now. The caller must not change it.
func (r *Record) Report() *Report { return nil }
