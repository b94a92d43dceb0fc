#!/bin/bash
# boot.sh DIR PACKAGES: makes a machine of a copy of this one, and becomes its
# systemd. It is run by test.sh in namespaces of its own (unshare), so that
# everything of it ends with it. What is written goes to memory, in DIR; the network
# is loopback alone; the folder PACKAGES is its /run/packages.
set -euo pipefail
dir=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$dir"
mkdir "$dir"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
cd "$dir/root"

mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys # the kernel is not this machine's to set
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
  : >"dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up

# Nothing runs that this machine has installed besides, and nothing is here of
# wsfront.
find etc/systemd/system -name '*.wants' -exec rm -r {} +
rm -rf {etc,var/lib,var/log}/wsfront
mkdir run/packages
mount --bind "$2" run/packages
pivot_root . mnt
umount -l /mnt
exec env -i container=wsfront-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=basic.target --show-status=0 --log-level=warning
