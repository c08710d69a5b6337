// signalfd with a mask and a signal that waits in it
// needs: signals
#include <signal.h>
#include <sys/signalfd.h>

#include "workload.h"

int main(void) {
    workload_begin();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    WORKLOAD_CALL(sigprocmask(SIG_BLOCK, &set, NULL));
    int descriptor = WORKLOAD_CALL(signalfd(-1, &set, SFD_CLOEXEC));
    WORKLOAD_CALL(kill(getpid(), SIGUSR1));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(close(descriptor));
        struct signalfd_siginfo info;
        WORKLOAD_CHECK(read(descriptor, &info, sizeof info) == sizeof info, "read: errno %d", errno);
        WORKLOAD_CHECK(info.ssi_signo == SIGUSR1, "signal %u instead of %d", info.ssi_signo, SIGUSR1);
        WORKLOAD_CALL(kill(getpid(), SIGUSR1));
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
