#define _GNU_SOURCE
#include "CLinux.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "CLinux is written for x86-64 only"
#endif

long crl_syscall(
    long number, unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
    unsigned long a5) {
    long result;
    register unsigned long r10 __asm__("r10") = a3;
    register unsigned long r8 __asm__("r8") = a4;
    register unsigned long r9 __asm__("r9") = a5;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

void crl_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *registers) {
    __cpuid_count(leaf, subleaf, registers[0], registers[1], registers[2], registers[3]);
}

uint64_t crl_xgetbv(uint32_t index) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
    return ((uint64_t)high << 32) | low;
}

uint64_t crl_vdso_base(void) { return getauxval(AT_SYSINFO_EHDR); }

uint64_t crl_auxiliary(uint64_t type) { return getauxval(type); }

void crl_clock(int clock, int64_t *seconds, int64_t *nanoseconds) {
    struct timespec time = {0};
    clock_gettime(clock, &time);
    *seconds = time.tv_sec;
    *nanoseconds = time.tv_nsec;
}

static long call3(long number, unsigned long a0, unsigned long a1, unsigned long a2) {
    return crl_syscall(number, a0, a1, a2, 0, 0, 0);
}

struct spawn_failure {
    int step;
    int error;
};

static _Noreturn void spawn_fail(int report, int step, long error) {
    struct spawn_failure failure = {step, (int)error};
    (void)call3(SYS_write, (unsigned long)report, (unsigned long)&failure, sizeof failure);
    for (;;) call3(SYS_exit_group, 127, 0, 0);
}

// Between clone3 and execve: raw system calls only. The child is a copy of one thread of a program with many, so any
// lock of libc may be held by a thread that does not exist here.
static void spawn_child(const struct crl_spawn_request *request, int report) {
    long error = 0;

    if (request->parent_death_signal != 0)
        call3(SYS_prctl, PR_SET_PDEATHSIG, (unsigned long)request->parent_death_signal, 0);
    if (request->new_session && (error = call3(SYS_setsid, 0, 0, 0)) < 0)
        spawn_fail(report, CRL_SPAWN_SESSION, error);
    if (request->private_mounts &&
        (error = crl_syscall(SYS_mount, 0, (unsigned long)"/", 0, MS_REC | MS_PRIVATE, 0, 0)) < 0)
        spawn_fail(report, CRL_SPAWN_MOUNTS, error);
    if (request->root) {
        if ((error = call3(SYS_chroot, (unsigned long)request->root, 0, 0)) < 0)
            spawn_fail(report, CRL_SPAWN_ROOT, error);
        if ((error = call3(SYS_chdir, (unsigned long)"/", 0, 0)) < 0) spawn_fail(report, CRL_SPAWN_ROOT, error);
    }
    if (request->mount_proc &&
        (error = crl_syscall(
             SYS_mount, (unsigned long)"proc", (unsigned long)"/proc", (unsigned long)"proc",
             MS_NOSUID | MS_NODEV | MS_NOEXEC, 0, 0)) < 0)
        spawn_fail(report, CRL_SPAWN_PROC, error);
    if (request->working_directory &&
        (error = call3(SYS_chdir, (unsigned long)request->working_directory, 0, 0)) < 0)
        spawn_fail(report, CRL_SPAWN_DIRECTORY, error);

    // Two passes, because a given descriptor may be the destination of another one: first all out of the way, then down.
    int lifted[3] = {-1, -1, -1};
    for (int i = 0; i < 3; i++) {
        if (request->stdio[i] < 0) continue;
        error = call3(SYS_fcntl, (unsigned long)request->stdio[i], F_DUPFD_CLOEXEC, 3);
        if (error < 0) spawn_fail(report, CRL_SPAWN_STDIO, error);
        lifted[i] = (int)error;
    }
    for (int i = 0; i < 3; i++) {
        if (lifted[i] < 0) continue;
        if ((error = call3(SYS_dup2, (unsigned long)lifted[i], (unsigned long)i, 0)) < 0)
            spawn_fail(report, CRL_SPAWN_STDIO, error);
    }
    // CLOSE_RANGE_CLOEXEC came with 5.11; before that, mark one by one up to the limit that is in force.
    if (call3(SYS_close_range, 3, ~0u, 4) < 0) {
        for (int fd = 3; fd < 4096; fd++) call3(SYS_fcntl, (unsigned long)fd, F_SETFD, FD_CLOEXEC);
    }

    if (request->reset_signals) {
        // The kernel's own struct sigaction: handler, flags, restorer, mask.
        unsigned long action[4] = {0, 0, 0, 0};
        unsigned long none = 0;
        for (int number = 1; number < 65; number++)
            crl_syscall(SYS_rt_sigaction, (unsigned long)number, (unsigned long)action, 0, 8, 0, 0);
        crl_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (unsigned long)&none, 0, 8, 0, 0);
    }
    if (!request->executable) {
        // The caller's code goes on, in which descriptors of its own mean nothing; the report's is among them.
        if (call3(SYS_close_range, 3, ~0u, 0) < 0) {
            for (int fd = 3; fd < 4096; fd++) call3(SYS_close, (unsigned long)fd, 0, 0);
        }
        return;
    }
    error = call3(
        SYS_execve, (unsigned long)request->executable, (unsigned long)request->arguments,
        (unsigned long)request->environment);
    spawn_fail(report, CRL_SPAWN_EXEC, error);
}

static void block_all(uint64_t *before) {
    uint64_t all = ~0ull;
    crl_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (unsigned long)&all, (unsigned long)before, 8, 0, 0);
}

static void unblock_to(const uint64_t *before) {
    crl_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (unsigned long)before, 0, 8, 0, 0);
}

pid_t crl_spawn(const struct crl_spawn_request *request, int *pidfd, int *step) {
    int report[2];
    *step = CRL_SPAWN_CLONE;
    *pidfd = -1;
    if (pipe2(report, O_CLOEXEC) != 0) return -errno;

    struct clone_args args = {0};
    args.flags = request->namespaces | CLONE_PIDFD;
    args.pidfd = (uint64_t)(uintptr_t)pidfd;
    args.exit_signal = SIGCHLD;
    args.set_tid = (uint64_t)(uintptr_t)request->set_tid;
    args.set_tid_size = request->set_tid ? request->set_tid_size : 0;
    if (request->cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)request->cgroup;
    }
    // A handler of the caller must not run in the child before its handlers are reset.
    uint64_t mask;
    block_all(&mask);
    long pid = call3(SYS_clone3, (unsigned long)&args, sizeof args, 0);
    if (pid == 0) {
        if (!request->reset_signals) unblock_to(&mask);
        spawn_child(request, report[1]);
        return 0;
    }
    unblock_to(&mask);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return (pid_t)pid;
    }
    struct spawn_failure failure;
    ssize_t got;
    do got = read(report[0], &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    close(report[0]);
    if (got == 0) {
        *step = CRL_SPAWN_NONE;
        return (pid_t)pid;
    }
    int status;
    while (waitpid((pid_t)pid, &status, __WALL) < 0 && errno == EINTR) {
    }
    if (*pidfd >= 0) close(*pidfd);
    *pidfd = -1;
    if (got != (ssize_t)sizeof failure) return -EIO;
    *step = failure.step;
    return failure.error;
}

pid_t crl_clone_paused(
    uint64_t flags, int exit_signal, const pid_t *set_tid, size_t set_tid_size, int *pidfd) {
    struct clone_args args = {0};
    if (flags & CLONE_VM) return -EINVAL;
    *pidfd = -1;
    // The parent may be killed before the child has asked for its own death then; this descriptor tells.
    int parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (parent < 0) return -errno;
    args.flags = flags | CLONE_PIDFD;
    args.pidfd = (uint64_t)(uintptr_t)pidfd;
    args.exit_signal = (uint64_t)exit_signal;
    args.set_tid = (uint64_t)(uintptr_t)set_tid;
    args.set_tid_size = set_tid ? set_tid_size : 0;
    uint64_t mask;
    block_all(&mask);
    long pid = call3(SYS_clone3, (unsigned long)&args, sizeof args, 0);
    if (pid == 0) {
        call3(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
        struct pollfd gone = {.fd = parent, .events = POLLIN};
        if (call3(SYS_poll, (unsigned long)&gone, 1, 0) > 0 && gone.revents & POLLIN) call3(SYS_exit_group, 0, 0, 0);
        call3(SYS_close, (unsigned long)parent, 0, 0);
        for (;;) call3(SYS_pause, 0, 0, 0);
    }
    unblock_to(&mask);
    // With a shared table it is the child that closes it.
    if (pid < 0 || !(flags & CLONE_FILES)) close(parent);
    return (pid_t)pid;
}

int crl_open_controlling(int slave, const char *path, int flags, int target) {
    struct clone_args args = {0};
    args.flags = CLONE_FILES;
    args.exit_signal = SIGCHLD;
    uint64_t mask;
    block_all(&mask);
    long pid = call3(SYS_clone3, (unsigned long)&args, sizeof args, 0);
    if (pid == 0) {
        long status = call3(SYS_setsid, 0, 0, 0);
        if (status >= 0) status = call3(SYS_ioctl, (unsigned long)slave, TIOCSCTTY, 1);
        if (status >= 0) status = call3(SYS_open, (unsigned long)path, (unsigned long)flags, 0);
        if (status >= 0 && status != target) {
            long fd = status;
            status = call3(SYS_dup3, (unsigned long)fd, (unsigned long)target, O_CLOEXEC);
            call3(SYS_close, (unsigned long)fd, 0, 0);
        }
        call3(SYS_exit_group, status < 0 ? (unsigned long)-status : 0, 0, 0);
    }
    int status = 0;
    long waited = pid;
    if (pid > 0) {
        do waited = waitpid((pid_t)pid, &status, __WALL);
        while (waited < 0 && errno == EINTR);
    }
    unblock_to(&mask);
    if (pid < 0) return (int)pid;
    if (waited < 0) return -EIO;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

void crl_keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
}

struct thread_start {
    void (*body)(void *_Nullable);
    void *context;
};

static void *thread_main(void *argument) {
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    start.body(start.context);
    return 0;
}

int crl_start_thread(size_t stack_bytes, void (*body)(void *_Nullable), void *context, unsigned long *handle) {
    struct thread_start *start = malloc(sizeof *start);
    if (!start) return -ENOMEM;
    *start = (struct thread_start){body, context};
    pthread_attr_t attributes;
    pthread_t thread;
    int error = pthread_attr_init(&attributes);
    if (error == 0) {
        error = pthread_attr_setstacksize(&attributes, stack_bytes);
        if (error == 0) error = pthread_create(&thread, &attributes, thread_main, start);
        pthread_attr_destroy(&attributes);
    }
    if (error != 0) {
        free(start);
        return -error;
    }
    *handle = (unsigned long)thread;
    return 0;
}

int crl_join_thread(unsigned long handle) { return -pthread_join((pthread_t)handle, 0); }

const void *crl_find(const void *bytes, size_t count, const void *wanted, size_t wanted_count) {
    return memmem(bytes, count, wanted, wanted_count);
}
