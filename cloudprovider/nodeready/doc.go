// Package nodeready says whether a node is Ready.
package nodeready
