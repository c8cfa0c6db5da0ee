package doctor

// For tests.
var (
	FlagsOf = flagsOf
	Runs    = runs
)
