// sessions and process groups whose founders are gone, moved or zombies, orphans that were adopted, stopped children
// needs: pipes
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "workload.h"

enum { MEMBERS = 24 };

/// What each process of the tree was, in memory that all share.
struct member {
    volatile pid_t pid, parent, group, session;
};

static struct member *members;
static volatile int *count;
static pid_t root;

static void note(void) {
    struct member *member = &members[__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST)];
    member->group = getpgrp();
    member->session = getsid(0);
    member->pid = getpid();
}

__attribute__((noreturn)) static void stay(void) {
    note();
    // An orphan hears of the end of its tree from nobody.
    while (kill(root, 0) == 0) workload_pause(20);
    _exit(0);
}

static pid_t spawn(void) { return WORKLOAD_CALL(fork()); }

/// Waits until a child has ended, and leaves it or takes it away.
static void ended(pid_t pid, bool reaps) {
    siginfo_t info;
    WORKLOAD_CALL(waitid(P_PID, (id_t)pid, &info, WEXITED | (reaps ? 0 : WNOWAIT)));
}

static pid_t parent_of(pid_t pid) {
    char path[40], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = WORKLOAD_CALL(open(path, O_RDONLY | O_CLOEXEC));
    ssize_t length = read(fd, text, sizeof text - 1);
    WORKLOAD_CHECK(length > 0, "read: errno %d", errno);
    close(fd);
    text[length] = 0;
    char *end = text + length;
    while (*end != ')') end--;
    return atoi(end + 4);
}

static void check(void) {
    for (int i = 0; i < *count; i++) {
        struct member *member = &members[i];
        pid_t group = getpgid(member->pid), session = getsid(member->pid);
        WORKLOAD_CHECK(group == member->group, "process %d: group %d instead of %d", i, group, member->group);
        WORKLOAD_CHECK(session == member->session, "process %d: session %d instead of %d", i, session, member->session);
        pid_t parent = parent_of(member->pid);
        WORKLOAD_CHECK(parent == member->parent, "process %d: parent %d instead of %d", i, parent, member->parent);
    }
}

static void wait_for(int wanted) {
    for (int i = 0; *count < wanted || !members[wanted - 1].pid; i++) {
        WORKLOAD_CHECK(i < 5000, "process %d does not start", wanted);
        workload_pause(1);
    }
}

int main(void) {
    workload_begin();
    root = getpid();
    members = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CALL(prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t child;

    // An orphan in a session whose founder is gone, and one in a group of that session whose founder is gone too.
    if ((child = spawn()) == 0) {
        setsid();
        if (spawn() == 0) stay();
        if (spawn() == 0) {
            setpgid(0, 0);
            if (spawn() == 0) stay();
            _exit(0);
        }
        wait(NULL);
        wait_for(2);
        _exit(0);
    }
    ended(child, true);

    // An orphan in the session of a leader that lives on further down.
    if ((child = spawn()) == 0) {
        setsid();
        pid_t below = spawn();
        if (below == 0) {
            if (spawn() == 0) stay();
            _exit(0);
        }
        ended(below, true);
        stay();
    }
    wait_for(4);

    // A zombie that leads a session with a member; the member is an orphan.
    pid_t leader = spawn();
    if (leader == 0) {
        setsid();
        if (spawn() == 0) stay();
        wait_for(5);
        _exit(7);
    }
    ended(leader, false);
    wait_for(5);

    // A leader whose child stayed in the older session.
    if (spawn() == 0) {
        if (spawn() == 0) stay();
        wait_for(6);
        setsid();
        stay();
    }
    wait_for(7);

    // The founder of a group has gone to another one, and a second member stays.
    pid_t founder = spawn();
    if (founder == 0) {
        setpgid(0, 0);
        if (spawn() == 0) stay();
        wait_for(8);
        setpgid(0, getppid());
        stay();
    }
    wait_for(9);

    // A zombie whose group has lost its founder.
    pid_t zombie;
    if ((child = spawn()) == 0) {
        setpgid(0, 0);
        if (spawn() == 0) _exit(9);
        _exit(0);
    }
    ended(child, true);
    siginfo_t info;
    do {
        WORKLOAD_CALL(waitid(P_PGID, (id_t)child, &info, WEXITED | WNOWAIT));
        zombie = info.si_pid;
    } while (zombie == 0);

    // A child that is a subreaper and has adopted.
    if ((child = spawn()) == 0) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        pid_t below = spawn();
        if (below == 0) {
            setsid();
            if (spawn() == 0) stay();
            _exit(0);
        }
        ended(below, true);
        stay();
    }
    wait_for(11);

    // Stopped by a terminal's signal: one whose parent knows it, and one whose parent has yet to be told.
    pid_t told = spawn();
    if (told == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stay();
    }
    pid_t untold = spawn();
    if (untold == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stay();
    }
    wait_for(13);
    WORKLOAD_CALL(kill(told, SIGSTOP));
    WORKLOAD_CALL(waitid(P_PID, (id_t)told, &info, WSTOPPED));
    WORKLOAD_CALL(kill(untold, SIGSTOP));
    WORKLOAD_CALL(waitid(P_PID, (id_t)untold, &info, WSTOPPED | WNOWAIT));

    for (int i = 0; i < *count; i++) members[i].parent = parent_of(members[i].pid);
    check();
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(setpgid(founder, founder));
        check();
        WORKLOAD_CALL(waitid(P_PID, (id_t)leader, &info, WEXITED | WNOWAIT | WNOHANG));
        WORKLOAD_CHECK(info.si_pid == leader && info.si_status == 7, "the zombie leader is another");
        WORKLOAD_CHECK(getsid(leader) == leader, "the zombie leads no session");
        WORKLOAD_CALL(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT | WNOHANG));
        WORKLOAD_CHECK(info.si_pid == zombie && info.si_status == 9, "the zombie is another");
        WORKLOAD_CHECK(getpgid(zombie) != zombie && getpgid(zombie) != getpid(), "the zombie's group is another");
        info.si_pid = 0;
        WORKLOAD_CALL(waitid(P_PID, (id_t)told, &info, WSTOPPED | WNOWAIT | WNOHANG));
        WORKLOAD_CHECK(info.si_pid == 0, "a stop is reported twice");
        WORKLOAD_CALL(waitid(P_PID, (id_t)untold, &info, WSTOPPED | WNOWAIT | WNOHANG));
        WORKLOAD_CHECK(info.si_pid == untold && info.si_status == SIGSTOP, "a stop is not reported");
        workload_progress();
        workload_pause(5);
    }
    for (int i = 0; i < *count; i++) kill(members[i].pid, SIGKILL);
    workload_verified();
}
