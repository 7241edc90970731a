#!/bin/sh
# The machine's process 1: what a desktop needs, the server, and the end. Each service more would be a longer boot.
# Arguments are the server's. The controller's tokens come by fw_cfg, which only root can read.
PATH=/usr/bin:/bin:/usr/games:/usr/sbin:/sbin
export PATH
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o nosuid,noexec,gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777,size=50% shm /dev/shm
mount -t tmpfs -o nosuid,nodev,mode=755,size=10% run /run
mkdir -p /run/lock /run/user
mkdir -m 700 /run/user/1000
chown 1000:1000 /run/user/1000
hostname desktop
busybox ip link set lo up
busybox ip link set eth0 up
busybox ip address add 10.0.2.15/32 dev eth0
busybox ip route add 10.0.2.2 dev eth0 # the way back to the controller; there is no other until it says so
# A root's shell for whoever owns the machine, on the second serial line: looks into one that does not answer.
setsid sh -c 'while :; do sh < /dev/ttyS1 > /dev/ttyS1 2>&1; sleep 1; done' &
prlimit --pid $$ --nproc="${DESKBENCH_PROCESSES:-600}" # the user's processes and threads; root has no such limit
XDG_RUNTIME_DIR=/run/user/1000 PYTHONPATH=/opt/deskbench PYTHONDONTWRITEBYTECODE=1
export XDG_RUNTIME_DIR PYTHONPATH PYTHONDONTWRITEBYTECODE
cd /home/user
/usr/bin/python3 -s -m deskbench.envs.server --user user --machine --host 0.0.0.0 --port 5000 "$@" \
  < /sys/firmware/qemu_fw_cfg/by_name/opt/deskbench/tokens/raw
echo "the server ended with status $?"
exec busybox reboot -f # which ends the machine
