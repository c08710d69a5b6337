// Signals in every state a dump can meet: handled, blocked, queued with payloads, on an alternate stack, from an interval
// timer, from POSIX timers; and waits that a dump interrupts.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>

#include "workload.h"

#ifndef sigev_notify_thread_id  // glibc has only the member behind it
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { alternate_stack_size = 64 * 1024, timers = 6, queued_in_flight = 12 };

static volatile uint64_t alarms, monotonic_ticks, realtime_ticks, altstack_visits;
static unsigned char alternate_stack[alternate_stack_size] __attribute__((aligned(16)));

static int signal_queue(void) { return SIGRTMIN + 5; }
static int signal_other_queue(void) { return SIGRTMIN + 6; }
static int signal_thread_queue(void) { return SIGRTMIN + 7; }
static int signal_monotonic(void) { return SIGRTMIN + 1; }
static int signal_realtime(void) { return SIGRTMIN + 2; }

static void on_alarm(int number) {
    WORKLOAD_CHECK(number == SIGALRM, "the alarm's handler got signal %d", number);
    alarms++;
}

static void on_timer(int number, siginfo_t *info, void *context) {
    (void)context;
    bool monotonic = number == signal_monotonic();
    WORKLOAD_CHECK(info->si_code == SI_TIMER, "signal %d: code %d instead of a timer's", number, info->si_code);
    uintptr_t expected = (uintptr_t)workload_number(400, monotonic ? 1 : 2);
    WORKLOAD_CHECK((uintptr_t)info->si_value.sival_ptr == expected, "signal %d: its value is %p", number,
                   info->si_value.sival_ptr);
    if (monotonic) monotonic_ticks++;
    else realtime_ticks++;
}

/// Sleeps inside the handler, so that many a dump finds it there.
static void on_user(int number, siginfo_t *info, void *context) {
    (void)context;
    unsigned char here;
    WORKLOAD_CHECK(&here >= alternate_stack && &here < alternate_stack + alternate_stack_size,
                   "signal %d: its handler is not on the alternate stack", number);
    WORKLOAD_CHECK(info->si_pid == getpid(), "signal %d: from %d, not from this process", number, info->si_pid);
    workload_pause(4);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    WORKLOAD_CHECK(sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGHUP) == 1,
                   "the handler's own mask is not in force");
    altstack_visits++;
}

// What sigaction(2) must go on to say of every signal.
static struct sigaction recorded[65];

static bool settable(int number) { return number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN); }

static void record_actions(void) {
    for (int number = 1; number <= 64; number++)
        if (settable(number)) WORKLOAD_CALL(sigaction(number, NULL, &recorded[number]));
}

static void check_actions(void) {
    for (int number = 1; number <= 64; number++) {
        struct sigaction now;
        if (!settable(number)) continue;
        WORKLOAD_CALL(sigaction(number, NULL, &now));
        bool same = now.sa_handler == recorded[number].sa_handler && now.sa_flags == recorded[number].sa_flags;
        for (int other = 1; other <= 64; other++)
            same &= sigismember(&now.sa_mask, other) == sigismember(&recorded[number].sa_mask, other);
        WORKLOAD_CHECK(same, "the action of signal %d changed", number);
    }
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags, int also_blocked) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    if (also_blocked) sigaddset(&action.sa_mask, also_blocked);
    WORKLOAD_CALL(sigaction(number, &action, NULL));
}

// Queues of blocked signals: each step takes the oldest and adds one, so both ends move and the order always shows.
static uint64_t queued[3], taken[3];

static void queue(unsigned which) {
    union sigval value = {.sival_ptr = (void *)(uintptr_t)workload_number(500 + which, queued[which]++)};
    if (which < 2) {
        WORKLOAD_CALL(sigqueue(getpid(), which ? signal_other_queue() : signal_queue(), value));
        return;
    }
    siginfo_t info = {.si_signo = signal_thread_queue(), .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value = value;
    WORKLOAD_CALL(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), signal_thread_queue(), &info));
}

static void take(unsigned which) {
    int number = which == 0 ? signal_queue() : which == 1 ? signal_other_queue() : signal_thread_queue();
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    siginfo_t info;
    int got = sigtimedwait(&one, &info, &(struct timespec){0, 0});
    WORKLOAD_CHECK(got == number, "queued signal %lu of queue %u has gone: errno %d", taken[which], which, errno);
    uintptr_t expected = (uintptr_t)workload_number(500 + which, taken[which]++);
    WORKLOAD_CHECK((uintptr_t)info.si_value.sival_ptr == expected && info.si_code == SI_QUEUE,
                   "queue %u: signal %lu carries %p instead of %lx", which, taken[which] - 1,
                   info.si_value.sival_ptr, expected);
    WORKLOAD_CHECK(info.si_pid == getpid() && info.si_uid == getuid(), "queue %u: sender %d", which, info.si_pid);
}

static sigset_t normal_mask;

static void check_state(void) {
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    for (int number = 1; number <= 64; number++)
        WORKLOAD_CHECK(sigismember(&now, number) == sigismember(&normal_mask, number),
                       "signal %d is %s", number, sigismember(&now, number) ? "blocked" : "no longer blocked");
    sigpending(&now);
    WORKLOAD_CHECK(sigismember(&now, SIGUSR2) == 1 && sigismember(&now, signal_queue()) == 1 &&
                       sigismember(&now, signal_thread_queue()) == 1 && sigismember(&now, SIGTERM) == 0,
                   "the set of pending signals is wrong");
    stack_t stack;
    WORKLOAD_CALL(sigaltstack(NULL, &stack));
    WORKLOAD_CHECK(stack.ss_sp == alternate_stack && stack.ss_size == alternate_stack_size && stack.ss_flags == 0,
                   "the alternate stack is at %p, %zu bytes, flags %d", stack.ss_sp, stack.ss_size, stack.ss_flags);
    struct itimerval interval;
    WORKLOAD_CALL(getitimer(ITIMER_REAL, &interval));
    WORKLOAD_CHECK(interval.it_interval.tv_usec == 20000, "the alarm's interval is %ld us",
                   interval.it_interval.tv_usec);
    WORKLOAD_CALL(getitimer(ITIMER_VIRTUAL, &interval));
    WORKLOAD_CHECK(interval.it_interval.tv_sec == 7 && interval.it_value.tv_sec > 3000 &&
                       interval.it_value.tv_sec <= 5000, "the virtual timer has %ld s left", interval.it_value.tv_sec);
}

static timer_t timer[timers];

/// Timers 1 and 4 are deleted again, so that the numbers have gaps.
static void start_timers(void) {
    struct sigevent events[timers] = {
        {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal_monotonic()},
        {.sigev_notify = SIGEV_NONE},
        {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal_realtime()},
        {.sigev_notify = SIGEV_NONE},
        {.sigev_notify = SIGEV_NONE},
        {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM},  // never armed
    };
    events[0].sigev_value.sival_ptr = (void *)(uintptr_t)workload_number(400, 1);
    events[2].sigev_value.sival_ptr = (void *)(uintptr_t)workload_number(400, 2);
    events[2].sigev_notify_thread_id = gettid();
    for (int each = 0; each < timers; each++)
        WORKLOAD_CALL(timer_create(each == 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &events[each], &timer[each]));
    WORKLOAD_CALL(timer_delete(timer[1]));
    WORKLOAD_CALL(timer_delete(timer[4]));
    struct itimerspec often = {{0, 30000000}, {0, 30000000}}, late = {{0, 5}, {4000, 0}};
    WORKLOAD_CALL(timer_settime(timer[0], 0, &often, NULL));
    WORKLOAD_CALL(timer_settime(timer[2], 0, &often, NULL));
    WORKLOAD_CALL(timer_settime(timer[3], 0, &late, NULL));
    WORKLOAD_CALL(setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL));
    WORKLOAD_CALL(setitimer(ITIMER_VIRTUAL, &(struct itimerval){{7, 0}, {5000, 0}}, NULL));
}

static void check_timers(int far_timerfd) {
    struct itimerspec left;
    WORKLOAD_CALL(timer_gettime(timer[3], &left));
    WORKLOAD_CHECK(left.it_interval.tv_nsec == 5 && left.it_value.tv_sec > 1000 && left.it_value.tv_sec < 4000,
                   "the far POSIX timer has %ld s left", left.it_value.tv_sec);
    WORKLOAD_CALL(timer_gettime(timer[5], &left));
    WORKLOAD_CHECK(left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0, "the unarmed timer is armed");
    WORKLOAD_CALL(timerfd_gettime(far_timerfd, &left));
    WORKLOAD_CHECK(left.it_value.tv_sec > 1000 && left.it_value.tv_sec < 4000 && left.it_interval.tv_sec == 3,
                   "the far timerfd has %ld s left", left.it_value.tv_sec);
}

/// One wait of each kind in turn; every one of them may be cut short.
static void wait_somehow(uint64_t turn, int timerfd) {
    struct pollfd one = {.fd = timerfd, .events = POLLIN};
    sigset_t only_alarm;
    switch (turn % 4) {
        case 0: nanosleep(&(struct timespec){0, 10000000}, NULL); break;
        case 1: poll(&one, 1, 15); break;
        case 2: ppoll(&one, 1, &(struct timespec){0, 15000000}, &normal_mask); break;
        default:
            sigfillset(&only_alarm);
            sigdelset(&only_alarm, SIGALRM);
            sigsuspend(&only_alarm);  // never returns if the alarm did not come back
    }
}

int main(void) {
    workload_begin();
    WORKLOAD_CALL(sigaltstack(&(stack_t){.ss_sp = alternate_stack, .ss_size = alternate_stack_size}, NULL));
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    struct sigaction alarm_action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    WORKLOAD_CALL(sigaction(SIGALRM, &alarm_action, NULL));
    handle(signal_monotonic(), on_timer, SA_RESTART, 0);
    handle(signal_realtime(), on_timer, SA_NODEFER, SIGALRM);
    handle(SIGUSR1, on_user, SA_ONSTACK, SIGHUP);
    handle(SIGTTIN, on_user, SA_RESETHAND | SA_ONSTACK, SIGTTOU);  // never sent: only looked at
    sigemptyset(&normal_mask);
    const int blocked[] = {signal_queue(), signal_other_queue(), signal_thread_queue(), SIGUSR2, SIGTTOU};
    for (size_t each = 0; each < sizeof blocked / sizeof *blocked; each++) sigaddset(&normal_mask, blocked[each]);
    sigprocmask(SIG_SETMASK, &normal_mask, NULL);
    raise(SIGUSR2);
    for (unsigned count = 0; count < queued_in_flight; count++)
        for (unsigned which = 0; which < 3; which++) queue(which);
    record_actions();
    start_timers();
    int timerfd = WORKLOAD_CALL(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    int far_timerfd = WORKLOAD_CALL(timerfd_create(CLOCK_REALTIME, 0));
    WORKLOAD_CALL(timerfd_settime(timerfd, 0, &(struct itimerspec){{0, 25000000}, {0, 25000000}}, NULL));
    WORKLOAD_CALL(timerfd_settime(far_timerfd, 0, &(struct itimerspec){{3, 0}, {4000, 0}}, NULL));
    workload_ready();
    for (uint64_t round = 0;; round++) {
        uint64_t before[3] = {alarms, monotonic_ticks, realtime_ticks}, expirations = 0, turn = round;
        while (alarms == before[0] || monotonic_ticks == before[1] || realtime_ticks == before[2] || !expirations) {
            uint64_t now;
            wait_somehow(turn++, timerfd);
            ssize_t got = read(timerfd, &now, sizeof now);
            WORKLOAD_CHECK(got == sizeof now || (got < 0 && errno == EAGAIN), "timerfd: errno %d", errno);
            if (got > 0) expirations += now;
        }
        uint64_t visits = altstack_visits;
        raise(SIGUSR1);
        WORKLOAD_CHECK(altstack_visits == visits + 1, "SIGUSR1 was not handled at once");
        if (workload_break_now()) taken[1]++;
        for (unsigned which = 0; which < 3; which++) take(which), queue(which);
        check_state();
        check_actions();
        check_timers(far_timerfd);
        workload_progress();
        if (workload_verify_requested()) break;
    }
    for (unsigned which = 0; which < 3; which++)
        while (taken[which] < queued[which]) take(which);
    sigset_t pending;
    sigpending(&pending);
    WORKLOAD_CHECK(sigismember(&pending, signal_queue()) == 0 && sigismember(&pending, signal_thread_queue()) == 0,
                   "more signals are queued than were sent");
    workload_verified();
}
