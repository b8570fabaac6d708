#!/usr/bin/env bash
# Runs the test suites.
#
#   tests/run.sh [--long] [SUITE…]
#
# A suite is `lib` (the unit tests in src) or a folder of tests/ with a main.rs; without names all of
# them run. What is missing on the machine is installed first: it says what, and asks for root only
# then. The table at the end shows minutes a suite; the last line is `N passed, N failed`.
# Status: 0 all passed; 1 a test failed, a suite ran no test, or it would not build; 2 usage.
#
#   --long                 what takes longer than a coffee, too; seeded
#   LINESEAL_SEED          repeats a long run
#   LINESEAL_FUZZ_MINUTES  how long `--long fuzz` tries inputs (60)
#   LINESEAL_TEST_THREADS  tests side by side (default: the cores, 2 to 4)
#   LINESEAL_TEST_VENV     the peers' Python environment (target/test-venv)
#   LINESEAL_TEST_NODE     a second renderer of labels   (target/test-node)
#   CARGO_TARGET_DIR       where to build                (target)
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
# shellcheck source=assets/packaging/prepare.sh
. assets/packaging/prepare.sh
forward_signals

# --- what runs --------------------------------------------------------------------------------------
long=
suites=()
for argument; do
    case $argument in
    --long) long=1 ;;
    -h | --help)
        sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$root/tests/run.sh"
        exit 0
        ;;
    -*) die "unknown option $argument; see tests/run.sh --help" 2 ;;
    *) suites+=("$argument") ;;
    esac
done

# The quick ones first; a suite that is not named here runs after them.
order=(architecture lib fuzz adapters audit line crash window hotplug)
present=(lib)
for main in tests/*/main.rs; do
    [ ! -e "$main" ] || present+=("$(basename "$(dirname "$main")")")
done
among() {
    local wanted=$1 each
    shift
    for each; do [ "$each" != "$wanted" ] || return 0; done
    return 1
}
if [ ${#suites[@]} -eq 0 ]; then
    for suite in "${order[@]}"; do ! among "$suite" "${present[@]}" || suites+=("$suite"); done
    for suite in "${present[@]}"; do among "$suite" "${suites[@]}" || suites+=("$suite"); done
fi
for suite in "${suites[@]}"; do
    among "$suite" "${present[@]}" || die "no suite is called $suite; there are: ${present[*]}" 2
done

# --- what it needs ----------------------------------------------------------------------------------
require_rust
command -v git >/dev/null || die "git is missing: apt-get install git"

# Written command=package, as assets/packaging/prepare.sh says. tests/architecture compares these with
# the programs that tests start.
strangers=(openssl=openssl)
tokens=(softhsm2-util=softhsm2 pkcs11-tool=opensc p11-kit=p11-kit p11-kit-modules ss=iproute2
    setpriv=util-linux)
brokers=(mosquitto=mosquitto)
papers=(ippeveprinter=cups-ipp-utils "dbus-daemon=dbus-daemon|dbus" node=nodejs npm=npm)
tpms=(swtpm=swtpm tpm2-abrmd=tpm2-abrmd libtss2-tcti-tabrmd0 tpm2_ptool=libtpm2-pkcs11-tools
    tpm2_createprimary=tpm2-tools libtpm2-pkcs11-1 "dbus-daemon=dbus-daemon|dbus")
readers=(sqlite3=sqlite3)
databases=(postgres=postgresql initdb=postgresql setpriv=util-linux)
disks=(mkfs.ext4=e2fsprogs mount=mount umount=mount)
windows=(Xvfb=xvfb xdotool=xdotool import=imagemagick convert=imagemagick "${window_libraries[@]}")
machine=(qemu-system-x86_64=qemu-system-x86 cpio=cpio modprobe=kmod strip=binutils)
PATH=$PATH:/usr/sbin:/sbin # kmod's
for folder in /usr/lib/postgresql/*/bin; do PATH=$PATH:$folder; done # where Debian keeps servers

wanted=()
peers=
for suite in "${suites[@]}"; do
    case $suite in
    architecture | lib | fuzz) ;;
    audit) wanted+=("${strangers[@]}" "${readers[@]}" "${tokens[@]}" "${databases[@]}") peers=1 ;;
    adapters) wanted+=("${strangers[@]}" "${tokens[@]}" "${brokers[@]}" "${papers[@]}" "${databases[@]}") peers=1 ;;
    line) wanted+=("${strangers[@]}" "${tokens[@]}" "${brokers[@]}" "${tpms[@]}" "${databases[@]}" "${disks[@]}") peers=1 ;;
    crash) wanted+=("${tokens[@]}" "${databases[@]}") peers=1 ;;
    window) wanted+=("${tokens[@]}" "${windows[@]}") peers=1 ;;
    hotplug) wanted+=("${tokens[@]}" "${machine[@]}") peers=1 ;;
    *) wanted+=("${strangers[@]}" "${readers[@]}" "${tokens[@]}" "${brokers[@]}" "${papers[@]}" "${tpms[@]}" "${databases[@]}" "${disks[@]}" "${windows[@]}" "${machine[@]}") peers=1 ;;
    esac
done
target=${CARGO_TARGET_DIR:-${CARGO_BUILD_TARGET_DIR:-$root/target}}
case $target in /*) ;; *) target=$here/$target ;; esac
export CARGO_TARGET_DIR=$target
if [ -n "$peers" ]; then
    export LINESEAL_TEST_VENV=${LINESEAL_TEST_VENV:-$target/test-venv}
    export LINESEAL_PRACTICE_VENV=${LINESEAL_PRACTICE_VENV:-$LINESEAL_TEST_VENV}
    requirements=()
    for file in assets/practice/requirements.txt tests/peers/*.txt; do
        [ ! -e "$file" ] || requirements+=("$file")
    done
    mapfile -t -O ${#wanted[@]} wanted < <(virtual_environment_package "$LINESEAL_TEST_VENV" "${requirements[@]}")
fi
[ ${#wanted[@]} -eq 0 ] || packages "${wanted[@]}"
[ -z "$peers" ] || virtual_environment "$LINESEAL_TEST_VENV" "${requirements[@]}"
if among adapters "${suites[@]}"; then
    export LINESEAL_TEST_NODE=${LINESEAL_TEST_NODE:-$target/test-node}
    renderer=tests/peers/zpl-renderer
    if ! cmp -s "$renderer/package-lock.json" "$LINESEAL_TEST_NODE/installed"; then
        mkdir -p "$LINESEAL_TEST_NODE"
        cp "$renderer/package.json" "$renderer/package-lock.json" "$LINESEAL_TEST_NODE/"
        npm ci --no-audit --no-fund --prefix "$LINESEAL_TEST_NODE"
        cp "$renderer/package-lock.json" "$LINESEAL_TEST_NODE/installed"
    fi
fi
if among hotplug "${suites[@]}" && command -v apt-get >/dev/null &&
    ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
    package_lists # the small machine's kernel comes from apt
fi

# A test talks to what it starts, never to what the person at this machine is signed in to.
while read -r variable; do unset "$variable"; done < <(compgen -e | grep -E '^AWS_' || true)
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
unset DISPLAY WAYLAND_DISPLAY

cores=$(nproc)
threads=${LINESEAL_TEST_THREADS:-$((cores < 2 ? 2 : cores > 4 ? 4 : cores))}
limit=1500
extra=()
if [ -n "$long" ]; then
    limit=10800
    extra=(--include-ignored)
    export LINESEAL_LONG=1
    export LINESEAL_SEED=${LINESEAL_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
    say "LINESEAL_SEED=$LINESEAL_SEED"
fi

without=()
if among line "${suites[@]}" && { [ "$(id -u)" != 0 ] || [ ! -e /dev/loop-control ]; }; then
    say "line: disk:: is left out: it mounts a disk of its own, which takes root and loop devices"
    without=(--skip disk::)
fi

# --- build ------------------------------------------------------------------------------------------
selector() { if [ "$1" = lib ]; then printf '%s\n' --lib; else printf '%s\n' --test "$1"; fi; }
tenths() { local s=$(($(date +%s%N) - $1)); printf '%d.%d\n' $((s / 60000000000)) $((s / 6000000000 % 10)); }

rows=$(printf '%-14s %7s %7s %7s %7s' suite minutes passed failed ignored)
notes=
passed=0
failed=0
row() { rows+=$'\n'$(printf '%-14s %7s %7s %7s %7s' "$@"); }
note() { notes+=$'\n'"$*"; }
finish() {
    printf '\n%s\n' "$rows"
    [ -z "$notes" ] || printf '%s\n' "${notes#$'\n'}"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    if [ -n "$notes" ] || [ "$failed" -gt 0 ]; then exit 1; fi
    exit 0
}

selectors=()
for suite in "${suites[@]}"; do mapfile -t -O ${#selectors[@]} selectors < <(selector "$suite"); done
began=$(date +%s%N)
if ! bounded 3000 cargo test --locked --no-run "${selectors[@]}"; then
    row build "$(tenths "$began")" - - -
    note "the build failed: no suite ran"
    failed=1
    finish
fi
row build "$(tenths "$began")" - - -

# --- run --------------------------------------------------------------------------------------------
logs=$target/test-logs
mkdir -p "$logs"
sum() { sed -n "s/^test result: .* \([0-9]\+\) $1[;.].*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'; }

for suite in "${suites[@]}"; do
    printf '\n=== %s ===\n' "$suite"
    case $suite in
    window | hotplug) side_by_side=1 ;;
    *) side_by_side=$threads ;;
    esac
    mapfile -t select < <(selector "$suite")
    began=$(date +%s%N)
    status=0
    # A pipe that stays open in a stray child must not keep us: the log is a file, and shown from there.
    : >"$logs/$suite.log"
    tail -n +1 -f --pid=$$ "$logs/$suite.log" 2>/dev/null &
    shown=$!
    bounded "$limit" cargo test --locked --no-fail-fast "${select[@]}" -- \
        "--test-threads=$side_by_side" "${extra[@]}" "${without[@]}" >"$logs/$suite.log" 2>&1 || status=$?
    sleep 0.3
    kill "$shown" 2>/dev/null || true
    wait "$shown" 2>/dev/null || true
    good=$(sum passed "$logs/$suite.log")
    bad=$(sum failed "$logs/$suite.log")
    ignored=$(sum ignored "$logs/$suite.log")
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        note "$suite: ended by its limit of $((limit / 60)) minutes"
    elif [ "$status" != 0 ] && [ "$bad" = 0 ]; then
        note "$suite: ended with status $status before its result"
    fi
    # A suite that dies takes its results with it; that is a failure, too.
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    if [ "$status" = 0 ] && [ "$good" = 0 ]; then note "$suite: ran no test"; fi
    passed=$((passed + good))
    failed=$((failed + bad))
    row "$suite" "$(tenths "$began")" "$good" "$bad" "$ignored"
done
finish
