package main

import (
	"context"

	"wsfront/cmd/internal/admin"
	"wsfront/pusher"
)

// hub is that of the push service that runs, or nil.
func (s *service) hub() *pusher.Hub {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.push == nil {
		return nil
	}
	return s.push.hub
}

// pushes is the hub where a route leads to it, or nil.
func (s *service) pushes() *pusher.Hub {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.push == nil || !s.file.HasPush() {
		return nil
	}
	return s.push.hub
}

// pushCounts are those of the push service, or false where there is none.
func (s *service) pushCounts(ctx context.Context) (pusher.Counts, bool) {
	hub := s.pushes()
	if hub == nil {
		return pusher.Counts{}, false
	}
	return hub.Counts(ctx), true
}

// pushStatus is what GET /status tells of the push service, or nil where there is
// none.
func (s *service) pushStatus(ctx context.Context) *admin.PushStatus {
	c, runs := s.pushCounts(ctx)
	if !runs {
		return nil
	}
	return &admin.PushStatus{
		Clients: c.Clients, Channels: c.Channels, Published: c.Publishes, Delivered: c.Deliveries,
		QueueBytes: c.QueueBytes, Cut: c.Ended["slow"], Joins: c.Joins, HistoryBytes: c.HistoryBytes,
	}
}

// channels is GET /channels.
func (s *service) channels(ctx context.Context, limit int) (admin.ChannelList, error) {
	hub := s.pushes()
	if hub == nil {
		return admin.ChannelList{}, nil
	}
	list, more, err := hub.ChannelStates(ctx, limit)
	return admin.ChannelList{Channels: list, More: more}, err
}

// pushLimits are those of the file's section push.
func (s *service) pushLimits() map[string]uint64 {
	hub := s.hub()
	if hub == nil {
		return nil
	}
	all := hub.LimitHits()
	all["publish.max_connections"] = s.counts.Refused.Load()
	return all
}

func (s *service) pushCapacity() map[string]int64 {
	hub := s.hub()
	if hub == nil {
		return nil
	}
	return hub.Capacity()
}

func (s *service) pushPanics() uint64 {
	hub := s.hub()
	if hub == nil {
		return 0
	}
	return hub.Panics()
}
