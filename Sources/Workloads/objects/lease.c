// a read lease with a signal of its own, and one that somebody is breaking
// needs: files, locks, signals
#include <signal.h>
#include <sys/prctl.h>

#include "workload.h"

static volatile sig_atomic_t signalled = -1;

static void on_break(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    signalled = info->si_fd;
}

int main(void) {
    workload_begin();
    struct sigaction action = {.sa_sigaction = on_break, .sa_flags = SA_SIGINFO};
    WORKLOAD_CALL(sigaction(SIGRTMIN + 3, &action, NULL));
    WORKLOAD_CALL(close(open("held", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
    WORKLOAD_CALL(close(open("broken", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
    int held = WORKLOAD_CALL(open("held", O_RDONLY | O_CLOEXEC));
    int broken = WORKLOAD_CALL(open("broken", O_RDONLY | O_CLOEXEC));
    WORKLOAD_CALL(fcntl(held, F_SETSIG, SIGRTMIN + 3));
    WORKLOAD_CALL(fcntl(broken, F_SETSIG, SIGRTMIN + 3));
    if (fcntl(held, F_SETLEASE, F_RDLCK) < 0) {
        workload_event("cannot: no leases on this file system\n");
        return 0;
    }
    WORKLOAD_CALL(fcntl(broken, F_SETLEASE, F_RDLCK));
    WORKLOAD_CHECK(open("broken", O_WRONLY | O_NONBLOCK) < 0 && errno == EWOULDBLOCK, "no break: errno %d", errno);
    WORKLOAD_CHECK(signalled == broken, "signalled for %d", (int)signalled);
    signalled = -1;
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(fcntl(held, F_SETLEASE, F_UNLCK));
        WORKLOAD_CHECK(fcntl(held, F_GETLEASE) == F_RDLCK, "the lease became %d", fcntl(held, F_GETLEASE));
        int state = fcntl(broken, F_GETLEASE);
        // The kernel takes it away after /proc/sys/fs/lease-break-time; until then its owner is asked to give it up.
        WORKLOAD_CHECK(state == F_UNLCK, "the broken lease became %d", state);
        WORKLOAD_CHECK(signalled == -1, "signalled again for fd %d", (int)signalled);
        WORKLOAD_CHECK(fcntl(held, F_GETSIG) == SIGRTMIN + 3, "the signal became %d", fcntl(held, F_GETSIG));
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CHECK(open("held", O_WRONLY | O_NONBLOCK) < 0 && errno == EWOULDBLOCK, "not broken: errno %d", errno);
    WORKLOAD_CHECK(signalled == held, "signalled for %d instead of %d", (int)signalled, held);
    workload_verified();
}
