#!/bin/sh
# Install the packages of some lists, and write down what is installed: name, version, SHA-256 of the .deb.
#   install.sh 0|1 LIST...     1: the versions of lock.txt, and no others
set -eu
cd /usr/share/deskbench
locked=$1
shift
names=$(for list in "$@"; do sed 's/#.*//' "$list.txt"; done)
[ -n "$(echo $names)" ] || exit 0
apt-get -qq update
if [ "$locked" = 1 ]; then
  # Everything that the lock names is pinned, what is not asked for included; the lock's packages of other lists do no harm.
  awk '{ printf "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", $1, $2 }' lock.txt > /etc/apt/preferences.d/deskbench
fi
apt-get -qq install -y --no-install-recommends $names > /tmp/apt.log 2>&1 || { tail -n 30 /tmp/apt.log >&2; exit 1; }
rm -f /etc/apt/preferences.d/deskbench /tmp/apt.log
dpkg-query -W -f '${db:Status-Abbrev} ${Package}=${Version}\n' | sed -n 's/^ii  *//p' | xargs apt-cache show 2> /dev/null \
  | awk '/^Package: /{p=$2} /^Version: /{v=$2} /^SHA256: /{print p, v, $2}' | sort -u > installed.txt
if [ "$locked" = 1 ]; then
  differing=$(sort -u lock.txt | comm -13 - installed.txt)
  if [ -n "$differing" ]; then
    printf 'not as in the lock file:\n%s\n' "$differing" >&2
    exit 1
  fi
fi
fc-cache -s 2> /dev/null || true
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
