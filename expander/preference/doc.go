// Package preference measures how well nodes suit what pods merely prefer: preferred node affinity, and topology spread with ScheduleAnyway.
//
// It knows the nodes by the templates of their groups. A Judge starts no goroutine, and belongs on the goroutine of the core's loop. The package must
// not import the expanders, which stand on it.
package preference
