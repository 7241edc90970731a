# Run by mmdebstrap beside the tree that it has made ($1): unpack the kernel in it, without what installing one brings along.
set -eu
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
name=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
mkdir -p "$1/boot/kernel"
cd "$1/boot/kernel"
apt-get -qq download "$name"
dpkg-deb -x ./*.deb .
rm ./*.deb
