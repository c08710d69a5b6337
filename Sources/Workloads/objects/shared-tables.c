// processes that share memory, signal actions, descriptors and folders in several combinations
// needs: files pipes
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

enum { KINDS = 4 };

static const int flags[KINDS] = {
    CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_FS};

/// In memory that all see: what a child shall do, and what it has done.
static struct turn {
    volatile int order, done;
} *turns;
static volatile int in_memory;
static char stacks[KINDS][65536] __attribute__((aligned(4096)));

static void handler(int signal) { (void)signal; }

static int child(void *argument) {
    int kind = (int)(intptr_t)argument;
    struct turn *turn = &turns[kind];
    int last = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) {
        while (turn->order == last) workload_pause(1);
        last = turn->order;
        // Each changes everything that it could share.
        in_memory = last;
        dup2(0, 200 + kind);
        if (last % 2 == 0) close(200 + kind);
        umask((mode_t)(last % 8));
        struct sigaction action = {.sa_handler = last % 2 ? handler : SIG_IGN};
        sigaction(SIGUSR2, &action, NULL);
        turn->done = last;
    }
    return 0;
}

int main(void) {
    workload_begin();
    turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CHECK(turns != MAP_FAILED, "mmap: errno %d", errno);
    pid_t pids[KINDS];
    for (int kind = 0; kind < KINDS; kind++)
        pids[kind] = WORKLOAD_CALL(
            clone(child, stacks[kind] + sizeof stacks[kind], flags[kind] | SIGCHLD, (void *)(intptr_t)kind));
    workload_ready();
    int step = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) kill(pids[0], SIGKILL), waitpid(pids[0], NULL, 0);
        step++;
        for (int kind = 0; kind < KINDS; kind++) {
            in_memory = -1;
            umask(0);
            struct sigaction action = {.sa_handler = SIG_DFL};
            WORKLOAD_CALL(sigaction(SIGUSR2, &action, NULL));
            close(200 + kind);
            if (step % 2 == 0) WORKLOAD_CALL(dup2(0, 200 + kind));
            turns[kind].order = step;
            for (int wait = 0; turns[kind].done != step; wait++) {
                WORKLOAD_CHECK(wait < 2000, "child %d does not answer", kind);
                workload_pause(1);
            }
            bool memory = in_memory == step;
            bool files = (fcntl(200 + kind, F_GETFD) >= 0) == (step % 2 == 1);
            mode_t mask = umask(0);
            WORKLOAD_CALL(sigaction(SIGUSR2, NULL, &action));
            bool actions = action.sa_handler != SIG_DFL;
            WORKLOAD_CHECK(memory == !!(flags[kind] & CLONE_VM), "child %d: memory", kind);
            WORKLOAD_CHECK(files == !!(flags[kind] & CLONE_FILES), "child %d: descriptors", kind);
            WORKLOAD_CHECK(
                step % 8 == 0 || (mask == (mode_t)(step % 8)) == !!(flags[kind] & CLONE_FS), "child %d: umask", kind);
            WORKLOAD_CHECK(actions == !!(flags[kind] & CLONE_SIGHAND), "child %d: signal actions", kind);
        }
        workload_progress();
        workload_pause(5);
    }
    for (int kind = 0; kind < KINDS; kind++) kill(pids[kind], SIGKILL);
    workload_verified();
}
