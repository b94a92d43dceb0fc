// Package schedule publishes messages by the clock: at intervals, or at the times
// that a crontab line names. It knows nothing of the hub but a function.
//
// A message is made by a template at the moment when it is due. One that could
// not be published is logged and not tried again: the next one is newer. Times
// that passed while the machine slept, or while publishing took long, are not
// made up for; at most one message is late.
//
// Crontab lines are read by github.com/robfig/cron/v3, of which nothing but the
// parser and the arithmetic of times is used. It has not changed for years, but
// neither has crontab. The alternative, github.com/adhocore/gronx, is looked
// after, but parses the line anew for each time, cannot say what is wrong with
// one, and leaves out an hour of a line such as "*/20 * * * *" in the night in
// which clocks are set back.
package schedule
