// Package top shows a report of the running autoscaler in a terminal, and shows it anew as it changes.
//
// Render draws the lines of one screen and Press changes the view by a key. Both are pure. Run owns the terminal. It leaves one
// goroutine behind that reads keys, because nothing interrupts a read of a terminal. Every name and message is text from outside:
// no control character of it reaches the terminal.
package top
