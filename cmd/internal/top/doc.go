// Package top shows a running server live, as wsfront top: rates, routes with
// their health, tunnels, channels and failures, and closes tunnels.
//
// The server is asked once an interval (reading.go), and what is shown is made of
// two readings that follow each other (frame.go): the rates are their difference.
// The screen is a program of bubbletea, which gives messages to Update, one at a
// time, and draws what View returns; it alone touches the terminal. Only the rows
// in view are drawn, so that 10,000 tunnels cost no more there than ten.
//
//	reading.go  what the server told at one moment
//	frame.go    what is shown, and the rates
//	sort.go     orders and the filter
//	model.go    messages and keys
//	view.go     the screen
//	lists.go    its tables
//	once.go     one frame as text or JSON
//	top.go      the beginning and the end
package top
