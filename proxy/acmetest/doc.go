// Package acmetest is a certificate authority in process, for the tests of
// programs that embed package proxy: Let's Encrypt's pebble with a name server
// that answers 127.0.0.1 for every name, so that nothing leaves the machine,
// no port is fixed and nothing has to be installed.
//
// A test makes a CA, hands its URL and the file of its root to the program
// under test, and tells it, by Validate, at which ports that program answers
// challenges:
//
//	ca := acmetest.New(t, 0, 0)
//	cfg.ACME = proxy.ACME{CA: ca.URL(), CARoot: ca.TrustFile()}
//	...
//	ca.Validate(plainPort, securePort)
package acmetest
