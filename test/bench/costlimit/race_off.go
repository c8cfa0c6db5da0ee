//go:build !race

package costlimit

// detector multiplies the bytes.
const detector = 1
