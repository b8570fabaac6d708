#!/bin/sh
# Sounds and a signal tower for [signals] in lineseal.toml.
#
#   signal.sh pass|fail|error|aborted|held     plays that verdict's rhythm (pw-play, paplay or aplay)
#   signal.sh tower DEVICE LIGHT               switches a serial relay board (LCUS: 9600 baud, A0 channel state sum);
#                                              channel 1 is red, 2 amber, 3 green. Lineseal adds LIGHT itself.
#
# Each verdict has a rhythm of its own, for whoever hears no pitch: PASS two short, FAIL three long, ERROR short and
# long, ABORTED four ticks, HELD one very long.
set -eu

case ${1:-} in
pass)    tone=880; rhythm="90 60 90" ;;
fail)    tone=440; rhythm="500 150 500 150 500" ;;
error)   tone=660; rhythm="120 80 600" ;;
aborted) tone=660; rhythm="50 70 50 70 50 70 50" ;;
held)    tone=550; rhythm="1200" ;;
tower)
    device=$2
    case $3 in
    fail)    on="1" ;;
    error)   on="1 2" ;;
    running) on="3" ;;
    paused)  on="2" ;;
    ready)   on="2 3" ;;
    *)       on="" ;;
    esac
    [ ! -c "$device" ] || stty -F "$device" 9600 raw -echo
    for channel in 1 2 3; do
        state=0
        for lit in $on; do [ "$lit" != "$channel" ] || state=1; done
        sum=$((160 + channel + state))
        printf "\\240\\00$channel\\00$state\\$(printf %03o "$sum")"
    done >"$device"
    exit
    ;;
*)
    echo "usage: signal.sh pass|fail|error|aborted|held | tower DEVICE LIGHT" >&2
    exit 2
    ;;
esac

for player in pw-play paplay aplay ""; do
    [ -z "$player" ] || ! command -v "$player" >/dev/null 2>&1 || break
done
if [ -z "$player" ]; then
    echo "signal.sh: none of pw-play, paplay and aplay is installed" >&2
    exit 1
fi

# A WAV file: 8000 samples a second, one channel, 8 bits.
number() { # VALUE BYTES, little endian
    value=$1 left=$2
    while [ "$left" -gt 0 ]; do
        printf "\\$(printf %03o $((value % 256)))"
        value=$((value / 256)) left=$((left - 1))
    done
}
samples=0
for milliseconds in $rhythm; do samples=$((samples + milliseconds * 8)); done
wav=$(mktemp)
trap 'rm -f "$wav"' EXIT
{
    printf RIFF; number $((36 + samples)) 4; printf 'WAVEfmt '
    number 16 4; number 1 2; number 1 2; number 8000 4; number 8000 4; number 1 2; number 8 2
    printf data; number "$samples" 4
    LC_ALL=C awk -v tone="$tone" -v rhythm="$rhythm" 'BEGIN {
        count = split(rhythm, part, " ")
        for (at = 1; at <= count; at++)
            for (sample = 0; sample < part[at] * 8; sample++) {
                loud = at % 2 ? 100 : 0
                printf "%c", int(128 + loud * sin(sample * tone * 2 * 3.14159265 / 8000))
            }
    }'
} >"$wav"
"$player" "$wav"
