package plugin

const LargestRequest = largestRequest
