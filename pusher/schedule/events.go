package schedule

// The messages of all log lines of this package. Operators search for them:
// renaming one is a change of behaviour. Every line has the attributes channel
// and when (the interval or the crontab line).
const (
	// EventStart (info): messages will be published. Attributes: next (when the
	// first one is due).
	EventStart = "schedule.start"
	// EventFailed (warn): a message could not be made or published, and is left
	// out. Attributes: count (its number), reason.
	EventFailed = "schedule.failed"
)
