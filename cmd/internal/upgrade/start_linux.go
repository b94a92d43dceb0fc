package upgrade

import "syscall"

// attributes have the new process be a sibling of this one: whoever started this
// one, such as systemd, then sees how the new one ends as well, and nobody has to
// stay for it.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_PARENT} }
