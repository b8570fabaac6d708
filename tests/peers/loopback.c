/* LD_PRELOADed into a peer that would listen on every address: it listens on this machine alone. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    if (address->sa_family == AF_INET) {
        struct sockaddr_in here = *(const struct sockaddr_in *)address;
        here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return next(fd, (struct sockaddr *)&here, sizeof here);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 here = *(const struct sockaddr_in6 *)address;
        here.sin6_addr = in6addr_loopback;
        return next(fd, (struct sockaddr *)&here, sizeof here);
    }
    return next(fd, address, length);
}
