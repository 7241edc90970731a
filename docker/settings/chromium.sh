# Read by Debian's chromium. There are no user namespaces in the container, which is the sandbox here; no questions at the
# first start, no offer to sign in (it would go away on its own, and move the toolbar), no keyring, and nothing is fetched
# that nobody asked for.
CHROMIUM_FLAGS="$CHROMIUM_FLAGS --no-sandbox --test-type --no-first-run --no-default-browser-check --disable-sync"
CHROMIUM_FLAGS="$CHROMIUM_FLAGS --password-store=basic --disable-background-networking --disable-component-update"
export CHROMIUM_FLAGS
