// threads with credentials of their own: users, groups, capability sets, secure bits, no_new_privs
// needs: threads
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "workload.h"

enum { threads = 4 };

/// Everything that a thread can be asked about its rights.
struct Rights {
    unsigned user[3], group[3], fsuser, fsgroup, count, list[8];
    struct __user_cap_data_struct sets[2];
    uint64_t bounding, ambient;
    int bits, nonew;
};

static struct Rights expected[threads];
static volatile int prepared, broken = -1;
static volatile bool stop;

static void ask(struct Rights *rights) {
    unsigned char *bytes = (unsigned char *)rights;
    for (size_t at = 0; at < sizeof *rights; at++) bytes[at] = 0;
    syscall(SYS_getresuid, &rights->user[0], &rights->user[1], &rights->user[2]);
    syscall(SYS_getresgid, &rights->group[0], &rights->group[1], &rights->group[2]);
    rights->fsuser = (unsigned)syscall(SYS_setfsuid, -1);
    rights->fsgroup = (unsigned)syscall(SYS_setfsgid, -1);
    rights->count = (unsigned)syscall(SYS_getgroups, 8, rights->list);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    syscall(SYS_capget, &header, rights->sets);
    for (int capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) rights->bounding |= 1ULL << capability;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1) rights->ambient |= 1ULL << capability;
    }
    rights->bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
    rights->nonew = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

/// Raw calls, because libc would change all threads alike. Without root only what everybody may do.
static void prepare(int index) {
    if (geteuid() == 0) {
        unsigned groups[] = {1000u + (unsigned)index, 2000u, 3000u};
        WORKLOAD_CALL(syscall(SYS_setgroups, index, groups));
        if (index == 1) {
            WORKLOAD_CALL(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NOROOT, 0, 0, 0));
            WORKLOAD_CALL(syscall(SYS_setresgid, 501, 502, 503));
            WORKLOAD_CALL(syscall(SYS_setresuid, 601, 602, 603));
        }
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        if (index == 2) {
            WORKLOAD_CALL(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0));
            struct __user_cap_data_struct sets[2] = {0};
            sets[0].permitted = 1u << CAP_CHOWN | 1u << CAP_KILL | 1u << CAP_SETPCAP;
            sets[0].effective = 1u << CAP_KILL;
            sets[0].inheritable = 1u << CAP_CHOWN;
            WORKLOAD_CALL(syscall(SYS_capset, &header, sets));
            WORKLOAD_CALL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
        }
        if (index == 3) {
            syscall(SYS_setfsgid, 777);
            syscall(SYS_setfsuid, 778);
        }
    }
    if (index == 3) WORKLOAD_CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void check(int index) {
    struct Rights found;
    ask(&found);
    const unsigned char *left = (unsigned char *)&found, *right = (unsigned char *)&expected[index];
    for (size_t at = 0; at < sizeof found; at++)
        WORKLOAD_CHECK(left[at] == right[at], "thread %d: its rights differ at byte %zu: %u, not %u", index, at, left[at], right[at]);
}

static void *work(void *argument) {
    int index = (int)(intptr_t)argument;
    prepare(index);
    ask(&expected[index]);
    __sync_fetch_and_add(&prepared, 1);
    while (!stop) {
        if (broken == index) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        check(index);
        workload_pause(3);
    }
    return NULL;
}

int main(void) {
    workload_begin();
    pthread_t thread[threads];
    // The events are written by a thread that keeps its rights.
    for (intptr_t index = 0; index < threads; index++)
        WORKLOAD_CHECK(pthread_create(&thread[index], NULL, work, (void *)index) == 0, "no thread");
    while (prepared < threads) workload_pause(1);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) broken = 0;
        workload_progress();
        workload_pause(5);
    }
    stop = true;
    for (int index = 0; index < threads; index++) pthread_join(thread[index], NULL);
    workload_verified();
}
