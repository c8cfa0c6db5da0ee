// Package chromium drives a headless Chromium for tests of pages.
//
// It starts the program of Debian's package chromium, and speaks the DevTools protocol with it over a pair of pipes. Every error
// of the browser's console and every refused request of a page is kept for the test. A Page is for one goroutine.
package chromium
