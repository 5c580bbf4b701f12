#!/usr/bin/env bash
# Prints the directory of PostgreSQL's server binaries, as the last line of standard output.
#
# Looks at $POSTGRES_BIN, then at Debian's places (the newest version), then at PATH. With --install, and as root, it
# installs Debian's package when nothing is found. Otherwise it says what to install, and fails.
set -euo pipefail

complete() { [ -x "$1/initdb" ] && [ -x "$1/postgres" ] && [ -x "$1/pg_ctl" ]; }

find_bin() {
    local candidate
    if [ -n "${POSTGRES_BIN:-}" ]; then
        complete "$POSTGRES_BIN" && printf '%s\n' "$POSTGRES_BIN"
        return
    fi
    for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if complete "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    candidate=$(command -v initdb) || return 1
    candidate=$(dirname "$(readlink -f "$candidate")")
    complete "$candidate" && printf '%s\n' "$candidate"
}

find_bin && exit 0

if [ -z "${POSTGRES_BIN:-}" ] && [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    "$(dirname "$0")/apt.sh" postgresql >&2
    find_bin && exit 0
fi

cat >&2 <<'TEXT'
PostgreSQL's server binaries (initdb, postgres, pg_ctl) were not found, and the tests need them: every engine is tested.
  Debian, Ubuntu:  sudo apt-get install postgresql
  elsewhere:       install PostgreSQL 15 or later, or set POSTGRES_BIN to the directory that holds initdb
The tests start a private cluster themselves; no running server is needed.
TEXT
exit 1
