// a child that waits by epoll for its own signalfd, and another for one that it has from its parent
// needs: signals epoll pipes process-tree
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "workload.h"

/// A signalfd wakes those who wait for it by the signals of the process that added it to the epoll instance. So each child
/// makes its own instance, and answers each signal with a byte: its turn.
__attribute__((noreturn)) static void child(const sigset_t *set, int inherited, int answers) {
    WORKLOAD_CALL(prctl(PR_SET_PDEATHSIG, SIGKILL));
    int descriptor = inherited >= 0 ? inherited : WORKLOAD_CALL(signalfd(-1, set, SFD_NONBLOCK));
    int epoll = WORKLOAD_CALL(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1234567890abcdefull};
    WORKLOAD_CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event));
    for (unsigned char turn = 0;; turn++) {
        WORKLOAD_CALL(write(answers, &turn, 1));
        struct epoll_event found;
        int count;
        do count = epoll_wait(epoll, &found, 1, -1);
        while (count < 0 && errno == EINTR);
        WORKLOAD_CHECK(count == 1 && found.data.u64 == event.data.u64, "epoll tells %d, errno %d", count, errno);
        struct signalfd_siginfo info;
        WORKLOAD_CHECK(read(descriptor, &info, sizeof info) == sizeof info, "signalfd: errno %d", errno);
        WORKLOAD_CHECK(info.ssi_signo == SIGUSR1, "signal %u instead of %d", info.ssi_signo, SIGUSR1);
    }
}

int main(void) {
    workload_begin();
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    WORKLOAD_CALL(sigprocmask(SIG_BLOCK, &set, NULL));
    int inherited = WORKLOAD_CALL(signalfd(-1, &set, SFD_NONBLOCK));
    pid_t children[2];
    int answers[2][2];
    unsigned char expected = 0;
    for (int each = 0; each < 2; each++) {
        WORKLOAD_CALL(pipe(answers[each]));
        children[each] = WORKLOAD_CALL(fork());
        if (children[each] == 0) child(&set, each ? inherited : -1, answers[each][1]);
        close(answers[each][1]);
    }
    for (bool ready = false; !workload_verify_requested(); expected++) {
        for (int each = 0; each < 2; each++) {
            unsigned char turn = 0;
            WORKLOAD_CHECK(read(answers[each][0], &turn, 1) == 1, "child %d has gone: errno %d", each, errno);
            WORKLOAD_CHECK(turn == expected, "child %d answers %d instead of %d", each, turn, expected);
        }
        if (!ready) workload_ready();
        ready = true;
        workload_progress();
        // Both wait by now, and are frozen waiting now and then.
        workload_pause(5);
        if (workload_break_now()) expected++;
        for (int each = 0; each < 2; each++) WORKLOAD_CALL(kill(children[each], SIGUSR1));
    }
    for (int each = 0; each < 2; each++) {
        WORKLOAD_CALL(kill(children[each], SIGKILL));
        WORKLOAD_CALL(waitpid(children[each], NULL, 0));
    }
    workload_verified();
}
