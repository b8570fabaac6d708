/* Stands between p11-kit's client and `p11-kit remote`: relay PLAN COMMAND [ARGUMENT...]
 *
 * The file PLAN says `MODE BYTES`: so many bytes of the remote are passed on; then
 *   stall    nothing more is, and nothing ends
 *   close    the connection is closed
 *   garbage  noise follows, for as long as somebody reads it
 * Without the file everything is passed on. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int passed_on(int to, const char *bytes, long count) {
    while (count > 0) {
        long written = write(to, bytes, count);
        if (written <= 0) return 0;
        bytes += written;
        count -= written;
    }
    return 1;
}

static void misbehave(const char *mode) {
    unsigned seed = 1;
    unsigned char noise[4096];
    if (!strcmp(mode, "stall")) {
        for (;;) pause();
    }
    if (!strcmp(mode, "garbage")) {
        do {
            for (unsigned i = 0; i < sizeof noise; i++) {
                seed = seed * 1103515245 + 12345;
                noise[i] = seed >> 16;
            }
        } while (passed_on(1, (char *)noise, sizeof noise));
    }
    _exit(0);
}

int main(int argc, char **argv) {
    char mode[16] = "";
    long left = 0;
    int to[2], from[2];
    signal(SIGPIPE, SIG_IGN);
    FILE *plan = fopen(argv[1], "r");
    if (plan && fscanf(plan, "%15s %ld", mode, &left) != 2) return 2;
    if (argc < 3 || pipe(to) || pipe(from)) return 2;
    if (!fork()) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[0]), close(to[1]), close(from[0]), close(from[1]);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    close(to[0]), close(from[1]);
    struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = from[0], .events = POLLIN}};
    for (;;) {
        char bytes[4096];
        if (poll(ends, 2, -1) < 0) return 1;
        if (ends[0].revents) {
            long count = read(0, bytes, sizeof bytes);
            if (count <= 0 || !passed_on(to[1], bytes, count)) return 0;
        }
        if (ends[1].revents) {
            long count = read(from[0], bytes, sizeof bytes);
            if (count <= 0) return 0;
            if (*mode && count >= left) {
                passed_on(1, bytes, left);
                misbehave(mode);
            }
            left -= count;
            if (!passed_on(1, bytes, count)) return 0;
        }
    }
}
