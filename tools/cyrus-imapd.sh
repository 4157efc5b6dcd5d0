#!/bin/sh
# Unpack imapd, idled and squatter of Cyrus into the named folder: Debian's package cyrus-imapd conflicts with
# dovecot-imapd, so it cannot be installed beside it. The version is that of the installed cyrus-common. Where this is not
# possible, say so and go on; the tests that need it are skipped.
set -eu

folder=$1
programs=usr/lib/cyrus/bin

command -v dpkg-query >/dev/null || exit 0
version=$(dpkg-query -W -f '${Version}' cyrus-common 2>/dev/null) || exit 0
[ -n "$version" ] || exit 0
[ ! -x "/$programs/imapd" ] || exit 0
[ "$(cat "$folder/version" 2>/dev/null)" != "$version" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt downloads as a user of its own.
chmod 755 "$work"
[ "$(id -u)" != 0 ] || chown _apt "$work" 2>/dev/null || true
download() {
    (cd "$work" && apt-get download -qq "cyrus-imapd=$version" >/dev/null 2>&1)
}
# Without the lists of packages, or with old ones, apt does not know where it is.
if ! download && ! { [ "$(id -u)" = 0 ] && apt-get update -qq && download; }; then
    echo "Cannot download cyrus-imapd $version, the version of the installed cyrus-common;" \
        "the tests that need it are skipped." >&2
    exit 0
fi
rm -rf "$folder"
mkdir -p "$folder"
dpkg-deb --fsys-tarfile "$work"/cyrus-imapd_*.deb |
    tar -x -C "$folder" "./$programs/imapd" "./$programs/idled" "./$programs/squatter"
# Last, so that what was unpacked by halves is unpacked again.
echo "$version" >"$folder/version"
