# Make the disk of a tree: a tar archive on standard input; folder $1 gets disk.qcow2, vmlinuz, busybox and modules.
#   disk.sh FOLDER FREE MODULE...     FREE: megabytes left to the machine's user
# Root's or, where an ordinary user builds, what passes for root in a user namespace. Needs neither mounts nor devices.
set -eu
cd "$1"
free=$2
shift 2
mkdir tree modules
tar -x -p --numeric-owner --exclude='./dev/*' -C tree
cp tree/usr/bin/busybox busybox
cp tree/boot/kernel/boot/vmlinuz-* vmlinuz
for module in "$@"; do
  cp tree/boot/kernel/lib/modules/*/kernel/"$module.ko" modules/
done
rm -r tree/boot/kernel
size=$(($(du -s --block-size=1M tree | cut -f 1) * 110 / 100 + free)) # the file system itself takes some
# Without a journal: a disk is thrown away with its machine. Nothing is kept for root: a full disk is full for the server, too.
mke2fs -q -t ext4 -m 0 -O '^has_journal' -d tree disk.raw "${size}M"
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
rm -r tree disk.raw
chmod 444 disk.qcow2 vmlinuz busybox
