// Command chaos runs seeded plans of faults, see package chaos.
//
// It owns the choice of the plans and the table of results. It exits with 3 when a run failed, and with 1 when it could not go on.
package main
