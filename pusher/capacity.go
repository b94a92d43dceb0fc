package pusher

// Capacity tells how much there may be at a time by the configuration, by the
// limits' keys: max_clients, channels_total, and queue_total in bytes. It may be
// called concurrently.
func (h *Hub) Capacity() map[string]int64 {
	return map[string]int64{
		limitClients:       int64(h.cfg.MaxClients),
		limitChannelsTotal: int64(h.cfg.ChannelsTotal),
		limitQueueTotal:    h.cfg.QueueTotal,
	}
}
