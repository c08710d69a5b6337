// seccomp filters: some for all threads, some for one, inherited by a child; each acts, and a later one synchronizes
// needs: threads
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

static pid_t child;

/// Makes one system call fail with an error number of its own.
static int install(unsigned number, unsigned error, unsigned flags) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void expect(const char *who, long number, int error) {
    long answer = syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    int found = answer < 0 ? errno : 0;
    WORKLOAD_CHECK(found == error, "%s: call %ld gives %d instead of %d", who, number, found, error);
}

/// Filters of /proc/thread-self/status; 0 on kernels that do not count them.
static int filters(void) {
    char text[4096];
    int descriptor = WORKLOAD_CALL(open("/proc/thread-self/status", O_RDONLY));
    ssize_t length = WORKLOAD_CALL(read(descriptor, text, sizeof text - 1));
    close(descriptor);
    text[length] = 0;
    for (char *at = text; *at; at++) {
        int count;
        if (at[0] == 'S' && at[1] == 'e' && sscanf(at, "Seccomp_filters: %d", &count) == 1) return count;
    }
    return 0;
}

static volatile bool filtered, last, rests, synchronized, stop;

static void check(const char *who, bool hasOwn, int count) {
    expect(who, SYS_getpgid, 71);
    expect(who, SYS_getsid, hasOwn ? 72 : ESRCH);
    expect(who, SYS_swapoff, synchronized ? 73 : geteuid() ? EPERM : EFAULT);
    int found = filters();
    WORKLOAD_CHECK(!found || found == count + synchronized, "%s has %d filters instead of %d", who, found, count);
}

static void *plain(void *unused) {
    while (!stop) {
        if (last) rests = true;
        else if (filtered) check("the plain thread", false, 1);
        workload_pause(3);
    }
    return unused;
}

int main(void) {
    workload_begin();
    WORKLOAD_CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    pthread_t thread;
    WORKLOAD_CHECK(pthread_create(&thread, NULL, plain, NULL) == 0, "no thread");
    // The other thread gets this one too, and only this one.
    WORKLOAD_CALL(install(SYS_getpgid, 71, SECCOMP_FILTER_FLAG_TSYNC));
    filtered = true;
    // Of two that disagree the later one wins.
    WORKLOAD_CALL(install(SYS_getsid, 70, 0));
    WORKLOAD_CALL(install(SYS_getsid, 72, 0));
    child = WORKLOAD_CALL(fork());
    while (child == 0) {
        check("the child", true, 3);
        workload_pause(3);
        if (getppid() == 1) _exit(0);
    }
    workload_ready();
    while (!workload_verify_requested()) {
        check("the first thread", true, 3);
        if (workload_break_now()) WORKLOAD_CALL(install(SYS_getsid, 99, 0));
        workload_progress();
        workload_pause(3);
    }
    int status;
    WORKLOAD_CHECK(waitpid(child, &status, WNOHANG) == 0, "the child has ended");
    WORKLOAD_CALL(kill(child, SIGKILL));
    WORKLOAD_CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "new privileges are possible");
    // From the call on the other thread has all of this one's: it must not be in the middle of its check.
    last = true;
    while (!rests) workload_pause(1);
    // Works only while every other thread has a part of this thread's chain.
    WORKLOAD_CHECK(install(SYS_swapoff, 73, SECCOMP_FILTER_FLAG_TSYNC) == 0, "the threads have other chains");
    synchronized = true;
    check("the first thread", true, 3);
    workload_verified();
}
