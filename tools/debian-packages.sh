#!/bin/sh
# Install the named Debian packages that are missing; where that is not possible, say what is to be done and go on.
# No service of theirs is started: the tests start what they need, on ports of their own.
set -eu

missing=""
for package in "$@"; do
    if command -v dpkg-query >/dev/null; then
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "Not installed:$missing. The tests that need them are skipped; to run them: sudo apt-get install$missing" >&2
    exit 0
fi
echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    # 101: the action is forbidden (invoke-rc.d(8)). The images of containers come with the same file.
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
# shellcheck disable=SC2086  # the names are separate words
apt-get install -qq -y --no-install-recommends $missing >/dev/null
