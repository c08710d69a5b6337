// A PID namespace below: its first process, a second one in it, and what each calls the others
// needs: namespaces root
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "workload.h"

int main(void) {
    int to[2], from[2];
    int pids[2];
    workload_begin();
    WORKLOAD_CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR, "signal");
    WORKLOAD_CALL(pipe2(to, O_CLOEXEC));
    WORKLOAD_CALL(pipe2(from, O_CLOEXEC));
    WORKLOAD_CALL(unshare(CLONE_NEWPID));
    pid_t first = WORKLOAD_CALL(fork());
    if (first == 0) {
        // It does what the parent asks, the second one answers: both must know their numbers.
        int inner[2];
        close(to[1]), close(from[0]);
        WORKLOAD_CALL(pipe2(inner, O_CLOEXEC));
        pid_t second = WORKLOAD_CALL(fork());
        if (second == 0) {
            close(to[0]), close(inner[1]);
            while (read(inner[0], &pids[0], sizeof pids[0]) == sizeof pids[0]) {
                pids[1] = getpid();
                WORKLOAD_CHECK(getppid() == 1, "parent %d", getppid());
                WORKLOAD_CALL(write(from[1], pids, sizeof pids));
            }
            _exit(0);
        }
        close(inner[0]);
        while (read(to[0], &pids[0], sizeof pids[0]) == sizeof pids[0]) {
            WORKLOAD_CHECK(second == 2 && kill(second, 0) == 0, "second process %d", second);
            pids[0] = getpid();
            WORKLOAD_CALL(write(inner[1], &pids[0], sizeof pids[0]));
        }
        _exit(0);
    }
    close(to[0]), close(from[1]);
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(kill(first, SIGKILL));
        WORKLOAD_CALL(write(to[1], pids, sizeof pids[0]));
        WORKLOAD_CHECK(read(from[0], pids, sizeof pids) == sizeof pids, "no answer");
        WORKLOAD_CHECK(pids[0] == 1 && pids[1] == 2, "they are %d and %d", pids[0], pids[1]);
        WORKLOAD_CHECK(kill(first, 0) == 0, "child %d: errno %d", first, errno);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
