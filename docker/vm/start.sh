#!/bin/busybox sh
# The first program, in the kernel's first file system: find the disk, put the server on it, go on there.
# `probe` instead of the server's arguments: whoever started this wants to know how long it took to come here.
b=/bin/busybox
[ "$1" = probe ] && exec $b reboot -f
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 500 ]; do
  $b usleep 20000
  tries=$((tries + 1))
done
$b mount -t ext4 -o rw,noatime /dev/vda /root || exec $b reboot -f
$b cp -a /deskbench/. /root/opt/deskbench/
$b mount -o move /dev /root/dev
exec $b switch_root /root /opt/deskbench/init "$@"
