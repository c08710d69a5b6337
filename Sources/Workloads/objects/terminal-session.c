// a controlling terminal: its session, foreground and background groups, /dev/tty, signals from the keyboard, hangup
// needs: pipes signals
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "workload.h"

/// In memory that all share.
static volatile struct {
    pid_t leader, foreground;
    int interrupts, hangups, heard, turn;
    int background_has, aloof_has;
} *shared;

static void on_signal(int signal) {
    if (signal == SIGINT) shared->interrupts++;
    if (signal == SIGHUP) shared->hangups++;
}

static bool has_terminal(void) {
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void wait_until(const char *what, const volatile int *value, int wanted) {
    for (int i = 0; *value != wanted; i++) {
        WORKLOAD_CHECK(i < 3000, "%s: %d instead of %d", what, *value, wanted);
        workload_pause(1);
    }
}

__attribute__((noreturn)) static void lead(const char *name) {
    WORKLOAD_CALL(setsid());
    // A member from before the session had a terminal never gets it.
    pid_t pid = WORKLOAD_CALL(fork());
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (true) {
            shared->aloof_has = has_terminal();
            workload_pause(2);
        }
    }
    int slave = WORKLOAD_CALL(open(name, O_RDWR | O_CLOEXEC));
    struct termios settings;
    WORKLOAD_CALL(tcgetattr(slave, &settings));
    settings.c_lflag = ICANON | ISIG;
    WORKLOAD_CALL(tcsetattr(slave, TCSANOW, &settings));
    signal(SIGTTOU, SIG_IGN);
    signal(SIGHUP, on_signal);
    pid = WORKLOAD_CALL(fork());
    if (pid == 0) {
        shared->foreground = getpid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        signal(SIGINT, on_signal);
        // Its only descriptor of the terminal stands for whichever controls it.
        int tty = WORKLOAD_CALL(open("/dev/tty", O_RDWR | O_CLOEXEC));
        close(slave);
        WORKLOAD_CALL(tcsetpgrp(tty, getpid()));
        shared->turn = 1;
        while (true) {
            char line[16];
            ssize_t length = read(tty, line, sizeof line);
            if (length == 2) shared->heard = line[0];
            if (length < 0 && errno != EINTR) pause();
        }
    }
    pid = WORKLOAD_CALL(fork());
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        signal(SIGINT, on_signal);
        close(slave);
        while (true) {
            shared->background_has = has_terminal();
            workload_pause(2);
        }
    }
    wait_until("foreground", &shared->turn, 1);
    shared->turn = 2;
    while (true) pause();
}

int main(void) {
    workload_begin();
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WORKLOAD_CHECK(memory != MAP_FAILED, "mmap: errno %d", errno);
    shared = memory;
    int master = WORKLOAD_CALL(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    WORKLOAD_CALL(unlockpt(master));
    char name[64];
    WORKLOAD_CHECK(ptsname_r(master, name, sizeof name) == 0, "ptsname: errno %d", errno);
    pid_t leader = WORKLOAD_CALL(fork());
    if (leader == 0) {
        shared->leader = getpid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(master);
        lead(name);
    }
    wait_until("leader", &shared->turn, 2);
    workload_ready();
    int interrupts = 0;
    char letter = 'a';
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(kill(shared->foreground, SIGKILL));
        pid_t session = 0, group = 0;
        WORKLOAD_CALL(ioctl(master, TIOCGSID, &session));
        WORKLOAD_CHECK(session == shared->leader, "the terminal is of session %d", session);
        WORKLOAD_CALL(ioctl(master, TIOCGPGRP, &group));
        WORKLOAD_CHECK(group == shared->foreground, "group %d is in the foreground", group);
        letter = letter == 'z' ? 'a' : (char)(letter + 1);
        WORKLOAD_CALL(write(master, (char[]){letter, '\n'}, 2));
        wait_until("line", &shared->heard, letter);
        WORKLOAD_CALL(write(master, "\003", 1));
        wait_until("interrupts", &shared->interrupts, ++interrupts);
        shared->background_has = shared->aloof_has = -1;
        wait_until("terminal of the background group", &shared->background_has, 1);
        wait_until("terminal of the aloof process", &shared->aloof_has, 0);
        WORKLOAD_CHECK(shared->hangups == 0, "hung up");
        workload_progress();
        workload_pause(5);
    }
    WORKLOAD_CALL(close(master));
    wait_until("hangups", &shared->hangups, 1);
    kill(shared->leader, SIGKILL);
    workload_verified();
}
