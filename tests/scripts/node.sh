#!/usr/bin/env bash
# Installs what the end-to-end test needs into tests/e2e/node_modules, Node 22 included, and prints that Node's path as
# the last line of standard output. Folders of tests/ that are named get their own packages as well. Does nothing where
# the lock file has not changed since the last time.
#
#   node.sh [FOLDER...]
set -euo pipefail

cd "$(dirname "$0")/.."
node=$PWD/e2e/node_modules/.bin/node

if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        scripts/apt.sh nodejs npm >&2
    else
        cat >&2 <<'TEXT'
node and npm were not found. They are needed once, to install the packages of the end-to-end test (a Node 22 among them).
  Debian, Ubuntu:  sudo apt-get install nodejs npm
TEXT
        exit 1
    fi
fi

# install FOLDER: the packages of its lock file, unless they are there.
install() (
    cd "$1"
    stamp=node_modules/.installed
    if ! cmp -s package-lock.json "$stamp"; then
        rm -f "$stamp"
        npm ci --no-audit --no-fund >&2
        cp package-lock.json "$stamp"
    fi
)

[ -x "$node" ] || rm -f e2e/node_modules/.installed
install e2e

version=$("$node" --version)
case $version in
    v22.*) ;;
    *) echo "expected Node 22 in tests/e2e/node_modules, found $version" >&2; exit 1 ;;
esac

# What these packages demand of Node is measured by that one.
for folder in "$@"; do
    PATH=$(dirname "$node"):$PATH install "$folder"
done
printf '%s\n' "$node"
