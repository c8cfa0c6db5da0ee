package plugin

const (
	LargestRequest  = largestRequest
	MostConnections = mostConnections
)
