#!/bin/sh
# Makes this Mac a desktop of deskbench: sh install.sh, as the user whose desktop it is. See README.md beside it.
# HOST and PORT: where the server listens (127.0.0.1 and 5000). PYTHON: the Python of its environment.
set -eu

source=$(cd "$(dirname "$0")" && pwd)
target="$HOME/Library/Application Support/deskbench"
agent="$HOME/Library/LaunchAgents/org.deskbench.server.plist"
label=org.deskbench.server
host=${HOST:-127.0.0.1}
port=${PORT:-5000}
python=${PYTHON:-python3}

[ "$(uname -s)" = Darwin ] || { echo "error: this is for macOS" >&2; exit 2; }
[ "$(id -u)" -ne 0 ] || { echo "error: run it as the user whose desktop it is, not as root" >&2; exit 2; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "error: Python 3.10 or newer is needed; name one: PYTHON=/path/to/python3 sh install.sh" >&2
    exit 2
}

launchctl bootout "gui/$(id -u)/$label" 2>/dev/null || true # it may not be there
umask 077
mkdir -p "$target" "$HOME/Library/LaunchAgents" "$HOME/Library/Logs"
rm -rf "$target/deskbench"
cp -R "$source/deskbench" "$source/tokens.json" "$target/"
[ -x "$target/python/bin/python" ] || "$python" -m venv "$target/python"
"$target/python/bin/python" -m pip install -q --disable-pip-version-check \
    pillow pyobjc-framework-Cocoa pyobjc-framework-Quartz pyobjc-framework-ApplicationServices

# launchd expands nothing: the paths are filled in here.
sed -e "s|@TARGET@|$target|g" -e "s|@LOGS@|$HOME/Library/Logs|g" -e "s|@HOST@|$host|g" -e "s|@PORT@|$port|g" \
    "$source/org.deskbench.server.plist" > "$agent"
plutil -lint -s "$agent"
launchctl bootstrap "gui/$(id -u)" "$agent"

echo "The server is started at each login. Give these two permissions in System Settings > Privacy & Security to"
"$target/python/bin/python" -c 'import os, sys; print("   ", os.path.realpath(sys.executable))'
echo "  - Screen & System Audio Recording"
echo "  - Accessibility"
echo "and then: launchctl kickstart -k gui/$(id -u)/$label"
