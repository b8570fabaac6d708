#!/usr/bin/env bash
# The practice line: boards on pseudo-terminals, tokens in software, a cloud on this machine.
#
#   assets/practice.sh [ARGUMENTS OF `lineseal practice`]
#
# Installs what is missing (says what, asks for root only then), builds, and opens the practice line:
# in a window where there is a display, as text where there is none. Nothing leaves this machine.
#
#   CARGO_TARGET_DIR        where to build                             (target)
#   LINESEAL_PRACTICE_VENV  the stand-ins' own Python environment      (target/practice-venv)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=assets/packaging/prepare.sh
. "$root/assets/packaging/prepare.sh"
forward_signals

require_rust

# Relative to where the script was called, as cargo takes it.
target=${CARGO_TARGET_DIR:-${CARGO_BUILD_TARGET_DIR:-$root/target}}
case $target in /*) ;; *) target=$PWD/$target ;; esac
export CARGO_TARGET_DIR=$target
export LINESEAL_PRACTICE_VENV=${LINESEAL_PRACTICE_VENV:-$target/practice-venv}
requirements=$root/assets/practice/requirements.txt

display=${DISPLAY:-}${WAYLAND_DISPLAY:-}
wanted=('softhsm2-util=softhsm2')
if [ -n "$display" ]; then
    wanted+=("${window_libraries[@]}")
fi
mapfile -t -O ${#wanted[@]} wanted < <(virtual_environment_package "$LINESEAL_PRACTICE_VENV" "$requirements")
packages "${wanted[@]}"

virtual_environment "$LINESEAL_PRACTICE_VENV" "$requirements"

quiet=(--quiet)
if [ ! -x "$target/practice/lineseal" ]; then
    say "building Lineseal: some minutes, once"
    quiet=()
fi
bounded 3600 cargo build "${quiet[@]}" --locked --manifest-path "$root/Cargo.toml" --profile practice --bin lineseal ||
    die "the build failed"

headless=()
if [ -z "$display" ]; then
    case " $* " in *' --headless '*) ;; *) headless=(--headless) ;; esac
fi
trap - INT TERM HUP
exec "$target/practice/lineseal" practice "${headless[@]}" "$@"
