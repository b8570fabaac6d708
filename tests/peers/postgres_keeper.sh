# Parent of a test's PostgreSQL: sh -c THIS keeper FOLDER POSTMASTER ARGUMENT…
# Obeys words on its standard input. When that ends, because the test has or because it was killed,
# the server ends at once and FOLDER is removed: statics of a test binary are never dropped.
folder=$1
shift
postmaster=
while read -r word; do
    case $word in
    start)
        "$@" </dev/null >>"$folder/log" 2>&1 &
        postmaster=$!
        echo "$postmaster"
        ;;
    reap)
        wait "$postmaster"
        postmaster=
        echo reaped
        ;;
    esac
done
if [ -n "$postmaster" ]; then
    # Immediate shutdown: it ends its children, too. CONT, because a test may have stopped it.
    kill -s QUIT "$postmaster"
    kill -s CONT "$postmaster"
    wait "$postmaster"
fi 2>/dev/null
# One that was killed leaves its System V segment to a successor that never comes.
segment=$(sed -n '7s/.* //p' "$folder/data/postmaster.pid" 2>/dev/null)
[ -z "$segment" ] || ipcrm --shmem-id "$segment" 2>/dev/null
rm -rf "$folder"
