package decision

// Observer counts what a Record is given. The Record calls it at each write, after it has released its lock, so an Observer may call
// Report. Calls may come from several goroutines at once. They must not block.
type Observer interface {
	Decided(Entry)   // each new entry of the timeline, once
	Launched(Launch) // each launch, once, when it has ended
}
