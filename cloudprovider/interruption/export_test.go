package interruption

import "time"

// LeaveToOthers has messages that are not ours be left to other readers for so long.
func (h *Handler) LeaveToOthers(d time.Duration) { h.ownersTime = d }
