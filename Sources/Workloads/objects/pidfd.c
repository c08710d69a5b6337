// pidfds of the process itself, of a child, of a zombie and of a child that was reaped
// needs: pidfd
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

static int open_pidfd(pid_t pid) { return (int)WORKLOAD_CALL(syscall(SYS_pidfd_open, pid, 0)); }

static int poll_pidfd(int descriptor) {
    struct pollfd request = {.fd = descriptor, .events = POLLIN};
    return WORKLOAD_CALL(poll(&request, 1, 0));
}

static pid_t child(int lives) {
    pid_t pid = WORKLOAD_CALL(fork());
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (lives) workload_pause(1000);
    _exit(7);
}

int main(void) {
    workload_begin();
    pid_t live = child(1), zombie = child(0), reaped = child(0);
    int descriptors[5] = {open_pidfd(getpid()), open_pidfd(live), open_pidfd(zombie), open_pidfd(reaped),
                          open_pidfd(reaped)};
    siginfo_t info;
    WORKLOAD_CALL(waitid(P_PID, reaped, &info, WEXITED));
    WORKLOAD_CALL(waitid(P_PID, zombie, &info, WEXITED | WNOWAIT));
    struct stat before[2];
    WORKLOAD_CALL(fstat(descriptors[3], &before[0]));
    WORKLOAD_CALL(fstat(descriptors[4], &before[1]));
    struct stat other;
    WORKLOAD_CALL(fstat(descriptors[0], &other));
    bool told = other.st_ino != before[0].st_ino;
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(kill(live, SIGKILL)), workload_pause(50);
        WORKLOAD_CHECK(poll_pidfd(descriptors[0]) == 0, "the process itself is said to have ended");
        WORKLOAD_CHECK(poll_pidfd(descriptors[1]) == 0, "the child is said to have ended");
        WORKLOAD_CHECK(poll_pidfd(descriptors[2]) == 1, "the zombie is said to live");
        WORKLOAD_CHECK(poll_pidfd(descriptors[3]) == 1, "the reaped child is said to live");
        WORKLOAD_CALL(syscall(SYS_pidfd_send_signal, descriptors[1], 0, NULL, 0));
        WORKLOAD_CHECK(
            syscall(SYS_pidfd_send_signal, descriptors[3], 0, NULL, 0) < 0 && errno == ESRCH, "reaped: errno %d", errno);
        struct stat now[2];
        // Kernels that show one inode for all pidfds do not tell twins from others.
        WORKLOAD_CALL(fstat(descriptors[3], &now[0]));
        WORKLOAD_CALL(fstat(descriptors[4], &now[1]));
        WORKLOAD_CHECK(
            !told || (before[0].st_ino == before[1].st_ino) == (now[0].st_ino == now[1].st_ino),
            "the twins are twins no more");
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CALL(waitid(P_PIDFD, (id_t)descriptors[2], &info, WEXITED));
    WORKLOAD_CHECK(info.si_status == 7, "the zombie ended with %d", info.si_status);
    WORKLOAD_CALL(syscall(SYS_pidfd_send_signal, descriptors[1], SIGKILL, NULL, 0));
    WORKLOAD_CALL(waitid(P_PID, live, &info, WEXITED));
    workload_verified();
}
