package pusher

import "context"

// slowStore is a store whose answers come when the test says so. A nil turnstile is
// open.
type slowStore struct {
	*Memory
	append, read turnstile
	// fault, if set, is called by Append.
	fault func(channel string)
}

// turnstile lets one through for each token.
type turnstile chan struct{}

func (g turnstile) pass(ctx context.Context) error {
	if g == nil {
		return nil
	}
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slowStore) Append(ctx context.Context, channel string, d Draft) (Appended, error) {
	if s.fault != nil {
		s.fault(channel)
	}
	if err := s.append.pass(ctx); err != nil {
		return Appended{}, err
	}
	return s.Memory.Append(ctx, channel, d)
}

func (s *slowStore) Head(ctx context.Context, channel string) (Head, error) {
	if err := s.read.pass(ctx); err != nil {
		return Head{}, err
	}
	return s.Memory.Head(ctx, channel)
}

func (s *slowStore) Next(ctx context.Context, channel string, after uint64, maxCount int, maxBytes int64) ([]*Entry, error) {
	if err := s.read.pass(ctx); err != nil {
		return nil, err
	}
	return s.Memory.Next(ctx, channel, after, maxCount, maxBytes)
}

func (s *slowStore) Last(ctx context.Context, channel string, maxCount int, maxBytes int64) ([]*Entry, error) {
	if err := s.read.pass(ctx); err != nil {
		return nil, err
	}
	return s.Memory.Last(ctx, channel, maxCount, maxBytes)
}

// lateStore is a store that tells its watcher of a message when the test says so.
type lateStore struct {
	*Memory
	tell func(*Entry)
	late chan *Entry
}

func newLateStore() *lateStore {
	return &lateStore{Memory: NewMemory(History{}), late: make(chan *Entry, 1000)}
}

func (s *lateStore) Watch(deliver func(*Entry)) (uint64, error) {
	s.tell = deliver
	return s.Memory.Watch(func(e *Entry) { s.late <- e })
}

// catchUp tells of all messages that were stored.
func (s *lateStore) catchUp() {
	for {
		select {
		case e := <-s.late:
			s.tell(e)
		default:
			return
		}
	}
}
