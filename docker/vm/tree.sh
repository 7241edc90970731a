# Run in the tree that mmdebstrap has made: the user, names, settings.
set -eu
groupadd --gid 1000 user
useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash --comment User user
echo desktop > /etc/hostname
echo '127.0.0.1 localhost desktop' > /etc/hosts
echo 'nameserver 10.0.2.3' > /etc/resolv.conf # QEMU's; there is no way to it unless the machine has been given the network
dbus-uuidgen --ensure=/etc/machine-id
sh /usr/share/deskbench/settings/apply.sh
fc-cache -s 2> /dev/null || true
mkdir -p /opt/deskbench
