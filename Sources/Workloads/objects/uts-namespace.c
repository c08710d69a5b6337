// UTS namespaces: a process in its own, its child in another, each with its names
// needs: namespaces root
#include <sched.h>
#include <sys/wait.h>

#include "workload.h"

static void check(const char *host, const char *domain) {
    char text[128];
    WORKLOAD_CALL(gethostname(text, sizeof text));
    for (size_t at = 0; at == 0 || host[at - 1]; at++) WORKLOAD_CHECK(text[at] == host[at], "host name %s", text);
    WORKLOAD_CALL(getdomainname(text, sizeof text));
    for (size_t at = 0; at == 0 || domain[at - 1]; at++) WORKLOAD_CHECK(text[at] == domain[at], "domain %s", text);
}

int main(void) {
    int to[2], from[2];
    char byte = 0;
    workload_begin();
    WORKLOAD_CALL(unshare(CLONE_NEWUTS));
    WORKLOAD_CALL(sethostname("outer", 5));
    WORKLOAD_CALL(setdomainname("outer.test", 10));
    WORKLOAD_CALL(pipe2(to, O_CLOEXEC));
    WORKLOAD_CALL(pipe2(from, O_CLOEXEC));
    if (WORKLOAD_CALL(fork()) == 0) {
        close(to[1]), close(from[0]);
        WORKLOAD_CALL(unshare(CLONE_NEWUTS));
        WORKLOAD_CALL(sethostname("inner", 5));
        WORKLOAD_CALL(setdomainname("inner.test", 10));
        do {
            check("inner", "inner.test");
            WORKLOAD_CALL(write(from[1], &byte, 1));
        } while (read(to[0], &byte, 1) == 1);
        _exit(0);
    }
    close(to[0]), close(from[1]);
    WORKLOAD_CHECK(read(from[0], &byte, 1) == 1, "the child ended");
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(sethostname("other", 5));
        check("outer", "outer.test");
        WORKLOAD_CALL(write(to[1], &byte, 1));
        WORKLOAD_CHECK(read(from[0], &byte, 1) == 1, "the child ended");
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
