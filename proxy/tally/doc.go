// Package tally has what is counted on the way of the bytes, at the price of an
// atomic addition or two. It knows nothing of who reads the counts.
package tally
