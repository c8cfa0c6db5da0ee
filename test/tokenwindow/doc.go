// Package tokenwindow keeps tests that measure a first launch away from the edges of token windows.
//
// It owns the wait before such a test. It must not import the product, so that every test may use it.
package tokenwindow
