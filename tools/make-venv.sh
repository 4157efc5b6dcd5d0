#!/bin/sh
# Make the virtual environment named by the argument with the interpreter in $PYTHON.
set -eu
venv="$1"
python="${PYTHON:-python3}"

if ! command -v "$python" >/dev/null; then
    echo "There is no $python here; install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)." >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is $("$python" --version 2>&1); 3.11 or newer is needed. Name another one: make PYTHON=python3.12 ..." >&2
    exit 1
fi
# Debian ships venv without ensurepip, which comes in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        sh "$(dirname "$0")/debian-packages.sh" python3-venv
    else
        echo "$python cannot make virtual environments; install its venv package (Debian: sudo apt-get install python3-venv)." >&2
        exit 1
    fi
fi
"$python" -m venv "$venv" || { rm -rf "$venv"; exit 1; }
