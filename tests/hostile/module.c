/* A PKCS#11 module that means harm. HOSTILE_REAL names the module that it stands before; the file that
 * HOSTILE_PLAN names holds lines of a function, the number of its call from which on (from 1) and what
 * is then done: "C_Sign 1 stall". Without the file it is an honest go-between. Beside the plan: `frame`
 * (what a forged answer says), `other` (another object's value), `pids` (whom it started), `folder` and
 * `pinned` (what it tries to get at) and `reached` (what came of it). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef unsigned long ul;
typedef unsigned char byte;
struct attribute { ul type; void *value; ul length; };
struct list { byte version[2]; void *f[68]; }; /* CK_FUNCTION_LIST, PKCS#11 v2.40 */
enum { INITIALIZE = 0, GET_INFO = 2, SLOT_LIST = 4, TOKEN_INFO = 6, MECHANISM_LIST = 7, OPEN_SESSION = 12, LOGIN = 18,
    GET_ATTRIBUTE = 24, FIND_INIT = 26, FIND = 27, FIND_FINAL = 28, SIGN_INIT = 42, SIGN = 43 };
enum { CKA_VALUE = 0x11, CKR_UNKNOWN = 0x1234 };
#define UNAVAILABLE ((ul)-1)
#define REAL(index, ...) (((ul(*)())real->f[index])(__VA_ARGS__))

static struct list ours, *real;

/* --- the plan ------------------------------------------------------------------------------------ */

static const char *beside(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s", getenv("HOSTILE_PLAN"));
    char *slash = strrchr(path, '/');
    snprintf(slash + 1, path + sizeof path - slash - 1, "%s", name);
    return path;
}

/* How a file's bytes begin; 0 without one. */
static ul contents(const char *name, byte *into, ul most) {
    FILE *file = fopen(beside(name), "r");
    ul length = file ? fread(into, 1, most, file) : 0;
    if (file) fclose(file);
    return length;
}

static const char *plan(const char *function, int call) {
    static char does[64];
    char at[64];
    int from;
    FILE *file = fopen(getenv("HOSTILE_PLAN"), "r");
    if (!file) return "";
    while (fscanf(file, "%63s %d %63s", at, &from, does) == 3)
        if (!strcmp(at, function) && call >= from) {
            fclose(file);
            return does;
        }
    fclose(file);
    return "";
}

/* --- what can be done anywhere -------------------------------------------------------------------- */

static void stop_here(void) {
    for (;;) sleep(1000);
}

static void note_child(pid_t child) {
    FILE *file = fopen(beside("pids"), "a");
    fprintf(file, "%d\n", child);
    fclose(file);
}

/* Children that leave the group and the session, hear no signal that can be unheard, and hold every
 * descriptor; the second one's parent is gone at once. */
static void children(void) {
    for (int orphan = 0; orphan < 2; orphan++) {
        pid_t child = fork();
        if (child == 0) {
            setsid();
            for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
            if (orphan && fork()) _exit(0);
            note_child(getpid());
            stop_here();
        }
    }
    usleep(100000);
}

static void *spin(void *nothing) {
    for (volatile ul i = 0;; i++) {}
    return nothing;
}

static void to_every_socket(const void *bytes, ul length) {
    for (int fd = 0; fd < 64; fd++) {
        struct stat is;
        if (fstat(fd, &is) == 0 && S_ISSOCK(is.st_mode)) (void)!send(fd, bytes, length, MSG_NOSIGNAL);
    }
}

static void forge(void) {
    static byte frame[1 << 16];
    ul length = contents("frame", frame + 4, sizeof frame - 4);
    frame[0] = length >> 24, frame[1] = length >> 16, frame[2] = length >> 8, frame[3] = length;
    to_every_socket(frame, 4 + length);
}

static void told(FILE *reached, const char *what, int done) {
    fprintf(reached, "%s %s\n", what, done ? "done" : "refused");
}

/* What is the station's alone: its log, its key, its mark, and its life. */
static void intrude(void) {
    static char folder[2048], name[4096];
    contents("folder", (byte *)folder, sizeof folder - 1);
    FILE *reached = fopen(beside("reached"), "w");
#define AT(file) (snprintf(name, sizeof name, "%s/%s", folder, file), name)
    told(reached, "read-key", open(AT("log.key"), O_RDONLY) >= 0);
    told(reached, "read-log", open(AT("lineseal.db"), O_RDONLY) >= 0);
    told(reached, "write-log", open(AT("lineseal.db"), O_RDWR) >= 0);
    told(reached, "lock-log", open(AT("lineseal.db-shm"), O_RDWR) >= 0);
    told(reached, "cut-mark", open(AT("high-water-mark"), O_WRONLY | O_TRUNC) >= 0);
    told(reached, "read-archive", open(AT("archives"), O_RDONLY | O_DIRECTORY) >= 0 && open(AT("archives/log.zip"), O_RDONLY) >= 0);
    told(reached, "drop-archive", unlink(AT("archives/log.zip")) == 0);
    told(reached, "new-beside", open(AT("../beside"), O_WRONLY | O_CREAT, 0600) >= 0);
    told(reached, "new-file", open(AT("MIGRATED"), O_WRONLY | O_CREAT, 0600) >= 0);
    told(reached, "delete-log", unlink(AT("lineseal.db-wal")) == 0);
    static char root[2048];
    contents("pinned", (byte *)root, sizeof root - 1);
    told(reached, "write-root", open(root, O_WRONLY) >= 0);
    told(reached, "replace-root", rename(beside("pinned"), root) == 0);
    char moved[4096];
    snprintf(moved, sizeof moved, "%s", beside("moved"));
    told(reached, "move-log", rename(AT("lineseal.db"), moved) == 0);
    /* The guardian's parent: proc_pid_stat(5), whose second field is in brackets. */
    char stat[512] = "";
    int station = 0;
    snprintf(name, sizeof name, "/proc/%d/stat", getppid());
    FILE *file = fopen(name, "r");
    if (file) fread(stat, 1, sizeof stat - 1, file), fclose(file);
    char *after = strrchr(stat, ')');
    if (after) sscanf(after + 1, " %*c %d", &station);
    told(reached, "signal-station", station > 1 && kill(station, 0) == 0);
    /* What is behind the next lane's port, and its own. */
    static char port[2][2048];
    contents("neighbour", (byte *)port[0], sizeof port[0] - 1);
    contents("port", (byte *)port[1], sizeof port[1] - 1);
    told(reached, "open-neighbour", open(port[0], O_RDWR | O_NOCTTY | O_NONBLOCK) >= 0);
    told(reached, "open-own", open(port[1], O_RDWR | O_NOCTTY | O_NONBLOCK) >= 0);
    fclose(reached);
}

static int is(const char *does, const char *what) { return !strcmp(does, what); }

/* 1: answer CKR_UNKNOWN. */
static int act(const char *does) {
    if (is(does, "stall")) stop_here();
    if (is(does, "segv")) raise(SIGSEGV), *(volatile int *)8 = 1;
    if (is(does, "abort")) abort();
    if (is(does, "exit")) exit(0);
    if (is(does, "exit-now")) _exit(0);
    if (is(does, "children")) children();
    if (is(does, "children-stall")) children(), stop_here();
    if (is(does, "children-exit")) children(), _exit(0);
    if (is(does, "close-all")) for (int fd = 0; fd < 1024; fd++) close(fd);
    if (is(does, "garbage")) for (int fd = 0; fd < 64; fd++) if (fd != 1 && fd != 2) (void)!write(fd, "\0\0\0\4!garbage!", 13);
    if (is(does, "huge-frame")) to_every_socket("\x7f\xff\xff\xff{", 5);
    if (is(does, "half-frame-stall")) to_every_socket("\0\0\1\0{", 5), stop_here();
    if (is(does, "flood")) for (;;) forge();
    if (is(does, "forge")) forge();
    if (is(does, "forge-stall")) forge(), stop_here();
    if (is(does, "unheard-stall")) {
        for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
        stop_here();
    }
    if (is(does, "threads-spin")) {
        pthread_t thread;
        for (int i = 0; i < 4; i++) pthread_create(&thread, 0, spin, 0);
        stop_here();
    }
    if (is(does, "intrude")) intrude();
    if (is(does, "elsewhere")) {
        (void)!chdir("/");
        setenv("PATH", "/nowhere", 1);
        setenv("HOME", "/nowhere", 1);
        umask(0777);
    }
    if (is(does, "noise")) {
        static char line[4096];
        memset(line, 'x', sizeof line);
        for (int i = 0; i < 1024; i++) (void)!write(1, line, sizeof line), (void)!write(2, line, sizeof line);
    }
    if (is(does, "kill-guardian")) {
        kill(getppid(), SIGKILL);
        stop_here();
    }
    if (is(does, "children-kill-guardian")) children(), kill(getppid(), SIGKILL), stop_here();
    if (is(does, "children-kill-group")) children(), kill(0, SIGKILL), stop_here();
    if (is(does, "children-stop-guardian")) children(), kill(getppid(), SIGSTOP), stop_here();
    if (is(does, "shared-memory")) {
        ul size = 900ul << 20;
        void *shared = mmap(0, size, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        memset(shared, 1, size), stop_here();
    }
    if (is(does, "children-memory")) {
        for (int i = 0; i < 3; i++) if (!fork()) memset(malloc(350 << 20), 1, 350 << 20), stop_here();
        stop_here();
    }
    if (is(does, "memory")) for (;;) memset(malloc(16 << 20), 1, 16 << 20); /* until there is none */
    return is(does, "unknown");
}

/* --- the functions -------------------------------------------------------------------------------- */

#define BEGIN(name) \
    static int calls; \
    const char *does = plan(name, ++calls); \
    if (act(does)) return CKR_UNKNOWN;

static ul initialize(void *arguments) {
    BEGIN("C_Initialize")
    return REAL(INITIALIZE, arguments);
}

static ul get_info(void *info) {
    BEGIN("C_GetInfo")
    ul result = REAL(GET_INFO, info);
    if (is(does, "no-text")) memset((byte *)info + 2, 0xff, 32), memset((byte *)info + 48, 0xff, 32);
    return result;
}

static ul slot_list(byte present, ul *slots, ul *count) {
    BEGIN("C_GetSlotList")
    if (is(does, "endless") || is(does, "many")) {
        ul most = is(does, "many") ? 100000 : 1ul << 40;
        if (slots) for (ul i = 0; i < *count && i < most; i++) slots[i] = i;
        *count = most;
        return 0;
    }
    ul given = *count, result = REAL(SLOT_LIST, present, slots, count);
    if (is(does, "growing") && slots) *count = given + (1 << 20);
    return result;
}

static ul token_info(ul slot, void *info) {
    BEGIN("C_GetTokenInfo")
    ul result = REAL(TOKEN_INFO, slot, info);
    if (is(does, "no-text")) memset(info, 0xff, 96);
    return result;
}

static ul mechanism_list(ul slot, ul *mechanisms, ul *count) {
    BEGIN("C_GetMechanismList")
    if (is(does, "endless")) return *count = 1ul << 40, 0;
    if (is(does, "none")) return *count = 0, 0;
    return REAL(MECHANISM_LIST, slot, mechanisms, count);
}

static ul open_session(ul slot, ul flags, void *a, void *b, ul *session) {
    BEGIN("C_OpenSession")
    static int open;
    if (is(does, "thrice") && open++ >= 3) return 0x31;
    return REAL(OPEN_SESSION, slot, flags, a, b, session);
}

static ul login(ul session, ul user, char *pin, ul length) {
    BEGIN("C_Login")
    return REAL(LOGIN, session, user, pin, length);
}

static ul get_attribute(ul session, ul object, struct attribute *template, ul count) {
    /* What is counted are the values that are asked for, whatever else is asked. */
    static int values;
    int value = template->type == CKA_VALUE;
    BEGIN("C_GetAttributeValue")
    does = value ? plan("CKA_VALUE", ++values) : "";
    if (act(does)) return CKR_UNKNOWN;
    if (is(does, "other")) {
        static byte other[1 << 16];
        ul length = contents("other", other, sizeof other);
        if (template->value && template->length >= length) memcpy(template->value, other, length);
        template->length = length;
        return 0;
    }
    ul result = REAL(GET_ATTRIBUTE, session, object, template, count);
    if (is(does, "unavailable")) template->length = UNAVAILABLE;
    if (is(does, "nearly-endless")) template->length = UNAVAILABLE - 1;
    if (is(does, "gigabyte")) template->length = 1ul << 30;
    if (is(does, "three-hundred-megabytes")) template->length = 300ul << 20;
    if (is(does, "grow") && template->value) template->length += 6;
    if (is(does, "grow-much") && template->value) template->length += 1ul << 30;
    if (is(does, "shrink") && template->value) template->length -= 6;
    if (is(does, "tail") && template->value) memset((byte *)template->value + template->length, 0xee, 64), template->length += 64;
    if (is(does, "tail") && !template->value) template->length += 64;
    return result;
}

static ul find_init(ul session, struct attribute *template, ul count) {
    BEGIN("C_FindObjectsInit")
    return REAL(FIND_INIT, session, template, count);
}

static ul find(ul session, ul *objects, ul most, ul *count) {
    BEGIN("C_FindObjects")
    if (is(does, "endless")) {
        for (ul i = 0; i < most; i++) objects[i] = 2;
        return *count = most, 0;
    }
    if (is(does, "more-than-asked")) return *count = most * 1000, 0;
    if (is(does, "nobody")) return objects[0] = 0xdead, *count = 1, 0;
    return REAL(FIND, session, objects, most, count);
}

static ul find_final(ul session) {
    BEGIN("C_FindObjectsFinal")
    return REAL(FIND_FINAL, session);
}

static ul sign_init(ul session, void *mechanism, ul key) {
    BEGIN("C_SignInit")
    return REAL(SIGN_INIT, session, mechanism, key);
}

static ul sign(ul session, byte *data, ul length, byte *signature, ul *signature_length) {
    BEGIN("C_Sign")
    ul given = *signature_length;
    if (is(does, "other-data")) data[0] ^= 1;
    ul result = REAL(SIGN, session, data, length, signature, signature_length);
    if (result || !signature) return result;
    ul made = *signature_length;
    if (is(does, "zeros")) memset(signature, 0, made);
    if (is(does, "other-key")) for (ul i = 0; i < made; i++) signature[i] ^= 0x5a;
    if (is(does, "long")) signature[made] = 0, *signature_length = made + 1;
    if (is(does, "short")) *signature_length = made - 1;
    if (is(does, "longer-than-given")) *signature_length = given + (1 << 20);
    if (is(does, "longer-than-anything")) *signature_length = UNAVAILABLE;
    if (is(does, "replay")) { /* the first that it ever made, here or in an earlier process */
        byte old[1024];
        ul length = contents("replayed", old, sizeof old);
        FILE *file;
        if (length) memcpy(signature, old, *signature_length = length);
        else if ((file = fopen(beside("replayed"), "w"))) fwrite(signature, 1, made, file), fclose(file);
    }
    if (is(does, "der")) {
        byte raw[1024], *out = signature;
        ul half = made / 2;
        memcpy(raw, signature, made);
        *out++ = 0x30, *out++ = 2 * (half + 3);
        for (int i = 0; i < 2; i++) {
            *out++ = 2, *out++ = half + 1, *out++ = 0;
            memcpy(out, raw + i * half, half), out += half;
        }
        *signature_length = out - signature;
    }
    return result;
}

ul C_GetFunctionList(struct list **list) {
    BEGIN("C_GetFunctionList")
    if (is(does, "null")) return *list = 0, 0;
    if (!real) {
        ul (*get)(struct list **);
        void *library = dlopen(getenv("HOSTILE_REAL"), RTLD_NOW);
        if (!library || !(get = (ul(*)(struct list **))dlsym(library, "C_GetFunctionList"))) return CKR_UNKNOWN;
        if (get(&real)) return CKR_UNKNOWN;
        ours = *real;
        ours.f[INITIALIZE] = initialize;
        ours.f[GET_INFO] = get_info;
        ours.f[SLOT_LIST] = slot_list;
        ours.f[TOKEN_INFO] = token_info;
        ours.f[MECHANISM_LIST] = mechanism_list;
        ours.f[OPEN_SESSION] = open_session;
        ours.f[LOGIN] = login;
        ours.f[GET_ATTRIBUTE] = get_attribute;
        ours.f[FIND_INIT] = find_init;
        ours.f[FIND] = find;
        ours.f[FIND_FINAL] = find_final;
        ours.f[SIGN_INIT] = sign_init;
        ours.f[SIGN] = sign;
    }
    if (is(does, "no-functions")) memset(ours.f, 0, sizeof ours.f);
    if (is(does, "version")) ours.version[0] = 9, ours.version[1] = 9;
    return *list = &ours, 0;
}
