#!/usr/bin/env bash
# Installs what the project needs and is not there yet, and says what it does.
#
#   tools/setup.sh build    compiler, CMake, the libraries ParqueDB links (the default)
#   tools/setup.sh demo     the same, and DuckDB for Python, which reads the demo's files
#   tools/setup.sh test     as build, clang for the fuzzers, and the readers of the interop tests
#   tools/setup.sh bench    the same as test, and the databases that `make bench` compares with
#
# System packages come from apt, as root or through sudo. Everything else goes into PQ_DEPS_DIR
# (default: .deps of the project) and leaves the system alone.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
deps=${PQ_DEPS_DIR:-$project/.deps}
what=${1:-build}

build_packages=(gcc libc6-dev make cmake ninja-build pkg-config libzstd-dev liblz4-dev libsnappy-dev
    zlib1g-dev libbrotli-dev libxxhash-dev libpcre2-dev)
test_packages=(g++ clang llvm python3 python3-venv git)
yyjson_version_min=0.12

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "needs root for: $*. Run it as root, or install sudo"
    fi
}

# A mirror may fail once in a while; three tries, each a little later.
try_thrice() {
    local pause
    for pause in 2 6 0; do
        if "$@"; then return 0; fi
        [ "$pause" = 0 ] || { say "again in $pause s: $*"; sleep "$pause"; }
    done
    return 1
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
    local package missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "no apt-get here; install by hand: ${missing[*]}"
    say "installing with apt: ${missing[*]}"
    try_thrice as_root apt-get -qq update || say "apt-get update had errors; going on"
    try_thrice as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        --no-install-recommends install "${missing[@]}" >/dev/null ||
        fail "apt-get could not install: ${missing[*]}"
}

# The mirror this machine already uses, as apt itself understands its sources in either format.
debian_mirror() {
    local suite
    suite=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(CODENAME)' 'Created-By: Packages' |
        awk -v suite="$suite" '($2 == suite || $3 == suite) && !/^cdrom:/ { print $1; exit }'
}

# yyjson out of a later Debian, unpacked beside the project: the system keeps its own packages.
fetch_yyjson_from() {
    local suite=$1 mirror=$2 state=$3 keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=
    local options=(-o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
        -o "Dir::State=$state" -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache"
        -o APT::Sandbox::User=root -o Acquire::Languages=none)
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    [ ! -f "$keyring" ] || signed="[signed-by=$keyring] "
    printf 'deb %s%s %s main\n' "$signed" "$mirror" "$suite" >"$state/sources.list"
    try_thrice apt-get -qq "${options[@]}" update || return 1
    apt-cache "${options[@]}" show libyyjson-dev 2>/dev/null |
        awk '/^Version:/ { print $2 }' | while read -r version; do
            dpkg --compare-versions "$version" ge "$yyjson_version_min" && echo yes
        done | grep -q yes || return 1
    (cd "$state" && try_thrice apt-get -qq "${options[@]}" download libyyjson-dev libyyjson0)
}

# libFuzzer and the sanitizers of clang are a package of their own, named after its version.
install_clang_runtime() {
    local major
    major=$(clang -dumpversion | cut -d . -f 1)
    install_packages "libclang-rt-$major-dev"
}

install_yyjson() {
    [ ! -f "$deps/yyjson/usr/include/yyjson.h" ] || return 0
    local version
    version=$(dpkg-query -W -f='${Version}' libyyjson-dev 2>/dev/null || true)
    if [ -n "$version" ] && dpkg --compare-versions "$version" ge "$yyjson_version_min"; then
        return 0
    fi
    local mirror suite state package
    mirror=$(debian_mirror)
    if [ -z "$mirror" ]; then  # apt tells its mirrors only once it has their lists
        say "apt-get update"
        try_thrice as_root apt-get -qq update || true
        mirror=$(debian_mirror)
    fi
    [ -n "$mirror" ] || fail "apt names no Debian mirror; unpack yyjson $yyjson_version_min in $deps"
    for suite in sid testing trixie-backports; do
        say "taking yyjson from Debian $suite into $deps/yyjson"
        state=$(mktemp -d)
        if fetch_yyjson_from "$suite" "$mirror" "$state"; then
            rm -rf "$deps/yyjson.new"
            mkdir -p "$deps/yyjson.new"
            for package in "$state"/*.deb; do dpkg -x "$package" "$deps/yyjson.new"; done
            rm -rf "$deps/yyjson" "$state"
            mv "$deps/yyjson.new" "$deps/yyjson"
            return 0
        fi
        rm -rf "$state"
    done
    fail "no Debian suite gave yyjson >= $yyjson_version_min; put it into $deps/yyjson/usr"
}

# The first python3 that can make a virtual environment; shims on PATH may not.
find_python() {
    local python
    for python in python3 /usr/bin/python3 /usr/local/bin/python3; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' \
            2>/dev/null; then
            printf '%s' "$python"
            return 0
        fi
    done
    return 1
}

# A stamp holds what was asked for, so that a second run has nothing to do.
install_python_packages() {
    local name=$1 list=$2 python
    cmp -s "$list" "$deps/venv/$name.stamp" && [ -x "$deps/venv/bin/python" ] && return 0
    python=$(find_python) || fail "no python3 >= 3.10 with venv found"
    say "installing Python packages of ${list#"$project"/} into $deps/venv"
    [ -x "$deps/venv/bin/python" ] || "$python" -m venv "$deps/venv"
    try_thrice "$deps/venv/bin/python" -m pip install -q --disable-pip-version-check -r "$list" ||
        fail "pip could not install ${list#"$project"/}"
    cp "$list" "$deps/venv/$name.stamp"
}

# install_node_packages FOLDER DIR: what FOLDER/package.json names, into DIR of PQ_DEPS_DIR.
install_node_packages() {
    local list=$project/$1/package.json npm_dir=$deps/$2
    if ! cmp -s "$list" "$npm_dir/installed.stamp"; then
        command -v npm >/dev/null || install_packages nodejs npm
        say "installing npm packages of $1 into $npm_dir"
        mkdir -p "$npm_dir"
        cp "$list" "$npm_dir/package.json"
        (cd "$npm_dir" && try_thrice npm install --silent --no-audit --no-fund \
            --no-package-lock --ignore-scripts) ||
            fail "npm could not install the packages of $1"
        cp "$list" "$npm_dir/installed.stamp"
    fi
}

mkdir -p "$deps"
case $what in
build | demo | test | bench) ;;
*) fail "unknown word '$what': build, demo, test or bench" ;;
esac
install_packages "${build_packages[@]}"
install_yyjson
if [ "$what" = demo ]; then
    install_packages python3 python3-venv
    install_python_packages demo "$project/examples/requirements.txt"
elif [ "$what" != build ]; then
    install_packages "${test_packages[@]}"
    install_clang_runtime
    install_python_packages test "$project/tests/interop/requirements.txt"
    install_node_packages tests/interop npm
    # One copy in PQ_DEPS_DIR serves several work trees; each links to it.
    ln -sfn "$deps/npm/node_modules" "$project/tests/interop/node_modules"
fi
if [ "$what" = bench ]; then
    install_python_packages bench "$project/bench/requirements.txt"
    install_node_packages bench npm-bench
    # `make bench` leaves PostgreSQL out where there is none.
    (install_packages postgresql) || say "going on without PostgreSQL"
fi
