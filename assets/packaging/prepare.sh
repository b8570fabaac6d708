# shellcheck shell=bash
# Sourced by assets/practice.sh and tests/run.sh: puts in place what a machine lacks. Says what it
# installs, asks for root only when something is missing, and is silent when nothing is.

say() { printf '%s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-1}"; }

# Runs a command with a time limit in seconds, in a process group of its own: when the limit or an
# interrupt ends it, its children end with it. Returns the command's status; 124 at the limit.
bounded() {
    local limit=$1 status=0
    shift
    # The shell starts background commands deaf to SIGINT; what tests start must hear it.
    timeout --kill-after=20 "$limit" env --default-signal=INT,QUIT "$@" &
    bounded_pid=$!
    wait "$bounded_pid" || status=$?
    bounded_pid=
    return "$status"
}
bounded_pid=
# An interrupt ends the bounded command, then the script.
forward_signals() {
    trap 'interrupted 130' INT
    trap 'interrupted 143' TERM
    trap 'interrupted 129' HUP
}
interrupted() {
    trap '' INT TERM HUP
    if [ -n "$bounded_pid" ]; then
        kill -s TERM "$bounded_pid" 2>/dev/null || true
        wait "$bounded_pid" 2>/dev/null || true
    fi
    exit "$1"
}

# Where rustup puts it, for shells that have not read their profile yet.
require_rust() {
    if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    fi
    command -v cargo >/dev/null || die "cargo is missing: install Rust 1.95 or later from https://rustup.rs"
    command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
        die "a C compiler is missing: apt-get install gcc libc6-dev"
}

# What the window loads when it starts, under these names in Debian 12 and 13, Ubuntu 22.04 and 24.04.
# shellcheck disable=SC2034 # for those who source this
window_libraries=(libgl1 libegl1 libgl1-mesa-dri libx11-6 libx11-xcb1 libxkbcommon0 libxkbcommon-x11-0 libxcursor1
    libxi6 libxrandr2 libwayland-client0 libwayland-egl1)

# Whether as_root can work: by itself, by asking at the terminal, or without asking.
can_be_root() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { may_ask || sudo -n true 2>/dev/null; }; }
}
may_ask() { [ -t 2 ] && [ -z "${CI:-}" ]; }

# Runs a command as root; without a terminal sudo must not ask.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif may_ask; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# in_place PACKAGE|OTHER: is a package, or one that stands in for it, installed? It may be written
# command=PACKAGE|OTHER: then a command of that name is enough.
in_place() {
    local wanted=$1
    case $wanted in
    *=*)
        if command -v "${wanted%%=*}" >/dev/null; then return 0; fi
        wanted=${wanted#*=}
        ;;
    esac
    local name
    for name in ${wanted//|/ }; do
        case $installed in *" $name "*) return 0 ;; esac
    done
    return 1
}

# packages WANTED…: installs what is missing, as one transaction.
packages() {
    local wanted missing=() names=()
    if ! command -v dpkg-query >/dev/null; then
        for wanted; do
            case $wanted in *=*) command -v "${wanted%%=*}" >/dev/null || missing+=("${wanted%%=*}") ;; esac
        done
        if [ ${#missing[@]} -gt 0 ]; then
            die "this is neither Debian nor Ubuntu; install what brings: ${missing[*]}"
        fi
        return 0
    fi
    for wanted; do
        wanted=${wanted#*=}
        # shellcheck disable=SC2206 # alternatives are words
        names+=(${wanted//|/ })
    done
    # It fails when one of them is unknown, which only says that it is missing.
    # shellcheck disable=SC2016 # the format is dpkg's
    installed=" $({ dpkg-query -W -f '${db:Status-Status}:${Package} ' "${names[@]}" 2>/dev/null || true; } |
        tr ' ' '\n' | sed -n 's/^installed://p' | tr '\n' ' ')"
    for wanted; do
        if ! in_place "$wanted"; then
            wanted=${wanted#*=}
            case " ${missing[*]} " in *" $wanted "*) ;; *) missing+=("$wanted") ;; esac
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then return 0; fi
    can_be_root || die "missing, and neither root nor sudo is here to install it; as root:
    apt-get update && apt-get install ${missing[*]%%|*}"

    # An alternative is chosen by what this release has.
    local choice choices=() fresh=
    for wanted in "${missing[@]}"; do
        choice=$(known "$wanted") || {
            if [ -z "$fresh" ]; then
                package_lists
                fresh=yes
            fi
            choice=$(known "$wanted") || die "no package of this release is called ${wanted//|/ or }"
        }
        choices+=("$choice")
    done
    say "installing: ${choices[*]}"
    install_packages "${choices[@]}" || {
        # The lists may be older than the archive.
        package_lists
        install_packages "${choices[@]}" || die "could not install: ${choices[*]}"
    }
}

install_packages() {
    case " $* " in
    *" postgresql "*) without_a_cluster install_packages_now "$@" ;;
    *) install_packages_now "$@" ;;
    esac
}
install_packages_now() {
    # --foreground: sudo may have to ask at the terminal, and an interrupt reaches apt.
    as_root timeout --foreground 1200 env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get install --yes -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" \
        </dev/null >&2
}

# Debian's package of a PostgreSQL server makes a cluster and starts it, now and at each boot. Who only
# wants its programs installs it like this; one that is installed by hand later does as usual.
without_a_cluster() (
    setting=/etc/postgresql-common/createcluster.d/lineseal.conf
    trap 'as_root rm -f "$setting"' EXIT
    printf 'create_main_cluster = false\n' | as_root install -D -m 644 /dev/stdin "$setting"
    "$@"
)

# The first of A|B that apt can install.
known() {
    local name
    for name in ${1//|/ }; do
        if [[ $(LC_ALL=C apt-cache policy "$name" 2>/dev/null) == *'  Candidate: '[!\(]* ]]; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    return 1
}

package_lists() {
    say "reading package lists"
    as_root timeout --foreground 600 apt-get update -qq -o DPkg::Lock::Timeout=300 </dev/null >&2 ||
        say "apt-get update failed; going on with the lists that are here"
}

# python_for_venv: names a python3 that can make virtual environments.
python_for_venv() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if command -v "$candidate" >/dev/null && "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# The package that making this environment takes, if it is not made yet and there is none.
virtual_environment_package() {
    is_made_from "$@" || python_for_venv >/dev/null || printf 'python3-venv\n'
}

# virtual_environment FOLDER REQUIREMENTS…: makes or renews it. The stamp in it is what it was made
# from, so a second call compares two texts and ends.
virtual_environment() {
    local folder=$1 python
    shift
    if is_made_from "$folder" "$@"; then return 0; fi
    python=$(python_for_venv) || die "no python3 here makes virtual environments: apt-get install python3-venv"
    mkdir -p "$(dirname "$folder")"
    (
        flock --timeout 900 9 || die "another process has been making $folder for 15 minutes"
        if is_made_from "$folder" "$@"; then exit 0; fi
        say "making $folder from $*"
        rm -rf "$folder"
        timeout --foreground 300 "$python" -m venv "$folder" >&2 || die "could not make $folder"
        local options=() file
        for file; do options+=(--requirement "$file"); done
        timeout --foreground 900 "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
            "${options[@]}" >&2 || die "pip could not install what is in $*"
        made_from "$folder" "$@" >"$folder/.made-from"
    ) 9>"$folder.lock" || exit 1
}

# Its own place counts: the programs in it name it.
made_from() {
    printf '# %s\n' "$1"
    shift
    cat "$@"
}

is_made_from() { [ -x "$1/bin/python" ] && made_from "$@" | cmp --silent - "$1/.made-from"; }
