// Command vulncheck looks for known vulnerabilities in the product's binary.
//
//	vulncheck                  asks the public vulnerability database, and fails if it cannot be reached
//	vulncheck -if-reachable    checks nothing, and says so, if it cannot be reached
//	vulncheck -db URL          asks another database: file:///DIR is a folder of OSV files, such as data/osv of golang/vulndb
//
// It runs govulncheck, which the module test/repo/tools pins, over the compiled binaries. That takes seconds, where following every
// call in the sources takes minutes of CPU. A binary lists more than what is called, so some exceptions are functions that are linked
// and never run. Each finding must have an exception in exceptions.json with its reason, and each exception a finding.
package main
