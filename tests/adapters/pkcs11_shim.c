/* A PKCS#11 module that misbehaves as SHIM_FAULTS (a list of words) says and otherwise hands every
 * call to the module SHIM_REAL. Each call it intercepts is a line in the file SHIM_LOG. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef unsigned long ul;
struct attribute { ul type; void *value; ul length; };
struct list { unsigned char version[2]; void *f[68]; }; /* CK_FUNCTION_LIST, PKCS#11 v2.40 */
enum { MECHANISM_LIST = 7, OPEN_SESSION = 12, LOGIN = 18, GET_ATTRIBUTE = 24, FIND_INIT = 26, FIND = 27, SIGN_INIT = 42, SIGN = 43 };
enum { CKA_CLASS = 0x0, CKA_LABEL = 0x3, CKA_ID = 0x102, PUBLIC_KEY = 2, PRIVATE_KEY = 3 };
enum { CKM_SHA256_RSA_PKCS = 0x40, CKM_VENDOR_DEFINED = 0x80000000 };
enum { CKR_FUNCTION_FAILED = 0x6, CKR_DEVICE_ERROR = 0x30 };

static struct list ours, *real;
static int searched_by_id, class_answers;

static int has(const char *fault) {
    const char *faults = getenv("SHIM_FAULTS");
    return faults && strstr(faults, fault);
}

static void note(const char *what, long number) {
    FILE *log = fopen(getenv("SHIM_LOG"), "a");
    if (!log) return;
    fprintf(log, "%s %ld\n", what, number);
    fclose(log);
}

static void stop_here(void) {
    for (;;) sleep(1000);
}

#define REAL(index, ...) (((ul(*)())real->f[index])(__VA_ARGS__))

static ul mechanism_list(ul slot, ul *mechanisms, ul *count) {
    ul result = REAL(MECHANISM_LIST, slot, mechanisms, count);
    if (has("raw-rsa") && result == 0 && mechanisms)
        for (ul i = 0; i < *count; i++)
            if (mechanisms[i] == CKM_SHA256_RSA_PKCS) mechanisms[i] = CKM_VENDOR_DEFINED;
    return result;
}

static ul open_session(ul slot, ul flags, void *a, void *b, ul *session) {
    note("C_OpenSession", getpid());
    if (has("with-child")) {
        pid_t child = fork();
        if (child == 0) stop_here();
        note("child", child);
    }
    const char *secrets[] = { "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "PGPASSFILE", "DATABASE_URL", "LINESEAL_PIN", "DB_PASSWORD" };
    for (int i = 0; i < 6; i++) if (getenv(secrets[i])) note("secrets seen", i);
    if (has("hang-open")) stop_here();
    if (has("crash-open")) abort();
    if (has("exit-open")) _exit(7);
    if (has("lost-open")) return CKR_DEVICE_ERROR;
    return REAL(OPEN_SESSION, slot, flags, a, b, session);
}

static ul login(ul session, ul user, char *pin, ul length) {
    note("C_Login", length);
    return REAL(LOGIN, session, user, pin, length);
}

static ul get_attribute(ul session, ul object, struct attribute *template, ul count) {
    ul result = REAL(GET_ATTRIBUTE, session, object, template, count);
    /* NXP: a key pair is a private key twice, then a public key twice, and so on. */
    if (has("nxp") && count == 1 && template->type == CKA_CLASS && template->value && *(ul *)template->value == PRIVATE_KEY)
        if (class_answers++ % 4 < 2) *(ul *)template->value = PUBLIC_KEY;
    return result;
}

static ul find_init(ul session, struct attribute *template, ul count) {
    struct attribute kept[8];
    ul used = 0, named = 0;
    searched_by_id = 0;
    for (ul i = 0; i < count && i < 8; i++) {
        named |= template[i].type == CKA_LABEL || template[i].type == CKA_ID;
        searched_by_id |= template[i].type == CKA_ID;
    }
    for (ul i = 0; i < count && i < 8; i++)
        /* NXP: a label or id overrides the class. */
        if (!(has("nxp") && named && template[i].type == CKA_CLASS)) kept[used++] = template[i];
    if (has("blind") && named) {
        kept[0].type = CKA_LABEL;
        kept[0].value = "nothing has this label";
        kept[0].length = strlen(kept[0].value);
        used = 1;
    }
    return REAL(FIND_INIT, session, kept, used);
}

static ul find(ul session, ul *objects, ul most, ul *count) {
    ul result = REAL(FIND, session, objects, most, count);
    if (has("nxp") && searched_by_id && result == 0 && *count == 0) return CKR_FUNCTION_FAILED;
    return result;
}

static ul sign_init(ul session, void *mechanism, ul key) {
    note("C_SignInit", 0);
    return REAL(SIGN_INIT, session, mechanism, key);
}

static ul sign(ul session, void *data, ul length, void *signature, ul *signature_length) {
    note(signature ? "C_Sign" : "C_Sign length query", length);
    if (has("hang-sign")) stop_here();
    if (has("lost-sign")) return CKR_DEVICE_ERROR;
    return REAL(SIGN, session, data, length, signature, signature_length);
}

ul C_GetFunctionList(struct list **list) {
    if (has("noise")) {
        for (int i = 0; i < 5000; i++) {
            printf("App   :INFO :printed on stdout, line %d\n", i);
            fprintf(stderr, "smCom :ERROR:printed on stderr, line %d\n", i);
        }
        fflush(stdout);
        /* No descriptor that a module may guess is the protocol's. */
        char c;
        if (read(0, &c, 1) != 0) abort();
        (void)!write(0, "garbage", 7);
    }
    if (!real) {
        ul (*get)(struct list **);
        void *library = dlopen(getenv("SHIM_REAL"), RTLD_NOW);
        if (!library || !(get = (ul(*)(struct list **))dlsym(library, "C_GetFunctionList"))) return CKR_FUNCTION_FAILED;
        if (get(&real)) return CKR_FUNCTION_FAILED;
        ours = *real;
        ours.f[MECHANISM_LIST] = mechanism_list;
        ours.f[OPEN_SESSION] = open_session;
        ours.f[LOGIN] = login;
        ours.f[GET_ATTRIBUTE] = get_attribute;
        ours.f[FIND_INIT] = find_init;
        ours.f[FIND] = find;
        ours.f[SIGN_INIT] = sign_init;
        ours.f[SIGN] = sign;
    }
    *list = &ours;
    return 0;
}
