// A tree of processes joined by pipes: a ring root → relay → grandchild → root with records in flight, a FIFO to a child in
// a session of its own that acknowledges by eventfd, two zombies kept for later, a stopped child, an epoll over it all.
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "workload.h"

enum { window = 300, burst = 25, kept_bytes = 6000, ended_bytes = 100 };

typedef struct {
    uint64_t sequence, payload[7];
} record;

typedef struct {
    int read, write;
} pipe_ends;

static pid_t root, relay, grandchild, reader, stopped, zombie_exited, zombie_killed;

static pipe_ends new_pipe(int flags) {
    int ends[2];
    WORKLOAD_CALL(pipe2(ends, flags));
    return (pipe_ends){ends[0], ends[1]};
}

/// Reads `size` bytes; false at the end of the stream.
static bool read_all(int descriptor, void *into, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(descriptor, (char *)into + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) workload_fail("read: errno %d in process %d", errno, getpid());
        if (got == 0) {
            WORKLOAD_CHECK(done == 0, "the stream ended inside a record in process %d", getpid());
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static void write_all(int descriptor, const void *from, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t put = write(descriptor, (const char *)from + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) _exit(4);  // the tree is ending
        done += (size_t)put;
    }
}

static record make_record(uint64_t sequence, unsigned hops) {
    record made = {.sequence = sequence};
    for (unsigned word = 0; word < 7; word++) made.payload[word] = workload_number(1000 + word, sequence) + hops;
    return made;
}

static void check_record(const record *found, uint64_t sequence, unsigned hops) {
    record expected = make_record(sequence, hops);
    WORKLOAD_CHECK(found->sequence == sequence, "hop %u: record %lu instead of %lu", hops, found->sequence, sequence);
    for (unsigned word = 0; word < 7; word++)
        WORKLOAD_CHECK(found->payload[word] == expected.payload[word], "hop %u: record %lu, word %u is wrong", hops,
                       sequence, word);
}

/// Passes records on in bursts, so that both its pipes mostly hold some; then waits for `next`, if there is one.
__attribute__((noreturn)) static void pass_on(int from, int to, unsigned hops, pid_t next) {
    record one;
    for (uint64_t sequence = 0; read_all(from, &one, sizeof one); sequence++) {
        check_record(&one, sequence, hops);
        one = make_record(sequence, hops + 1);
        write_all(to, &one, sizeof one);
        if (sequence % burst == burst - 1) workload_pause(4);
    }
    close(to);
    int status = 0;
    bool ended_well = !next || (waitpid(next, &status, 0) == next && status == 0);
    // After the root has gone, its reason is the one that counts.
    WORKLOAD_CHECK(ended_well || getppid() != root, "the grandchild ended with %#x", status);
    _exit(0);
}

/// Its own session; reads numbers from the FIFO and counts them into the eventfd.
__attribute__((noreturn)) static void read_fifo(int event) {
    WORKLOAD_CALL(setsid());
    int fifo = WORKLOAD_CALL(open("queue", O_RDONLY));
    uint64_t number, one = 1;
    for (uint64_t sequence = 0; read_all(fifo, &number, sizeof number); sequence++) {
        WORKLOAD_CHECK(number == workload_number(1100, sequence), "the FIFO's number %lu is wrong", sequence);
        write_all(event, &one, sizeof one);
    }
    _exit(0);
}

/// Stops itself; when continued says so and goes.
__attribute__((noreturn)) static void stop_here(int report) {
    WORKLOAD_CALL(setpgid(0, 0));
    raise(SIGSTOP);
    uint64_t word = workload_number(1200, 0);
    write_all(report, &word, sizeof word);
    _exit(23);
}

/// The state letter of a task and its parent, from /proc.
static char state_of(pid_t pid, pid_t *parent) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    WORKLOAD_CHECK(descriptor >= 0, "process %d has gone: errno %d", pid, errno);
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    WORKLOAD_CHECK(length > 0, "/proc/%d/stat cannot be read", pid);
    while (length > 0 && text[length - 1] != ')') length--;
    *parent = 0;
    for (const char *digit = text + length + 3; *digit >= '0' && *digit <= '9'; digit++)
        *parent = *parent * 10 + (*digit - '0');
    return text[length + 1];
}

static void check_process(const char *who, pid_t pid, const char *states, pid_t parent) {
    pid_t found_parent;
    char state = state_of(pid, &found_parent);
    bool allowed = false;
    for (const char *each = states; *each; each++) allowed |= *each == state;
    WORKLOAD_CHECK(allowed, "the %s, %d, is in state %c, not one of %s", who, pid, state, states);
    WORKLOAD_CHECK(found_parent == parent, "the parent of the %s is %d instead of %d", who, found_parent, parent);
}

/// What happened to a child, without taking it: 0 for nothing of that kind.
static int peek(pid_t pid, int kinds, int *status) {
    siginfo_t info = {0};
    WORKLOAD_CALL(waitid(P_PID, (id_t)pid, &info, kinds | WNOHANG | WNOWAIT));
    *status = info.si_status;
    return info.si_pid == pid ? info.si_code : 0;
}

/// Without /proc, because a dump may refuse a process that has a file of another process's open there.
static void check_tree(int tell) {
    int status;
    WORKLOAD_CHECK(getpid() == root && getsid(0) == root && getpgrp() == root, "the root's ids changed");
    WORKLOAD_CHECK(getpgid(relay) == relay && getsid(relay) == root, "the relay's group or session changed");
    WORKLOAD_CHECK(getpgid(grandchild) == relay && getsid(grandchild) == root, "the grandchild's group changed");
    WORKLOAD_CHECK(getpgid(reader) == reader && getsid(reader) == reader, "the reader's session changed");
    WORKLOAD_CHECK(getpgid(stopped) == stopped, "the stopped child's group changed");
    const pid_t alive[] = {relay, reader, stopped};
    for (size_t each = 0; each < 3; each++)
        WORKLOAD_CHECK(peek(alive[each], WEXITED | WCONTINUED, &status) == 0, "child %d ended or went on: status %d",
                       alive[each], status);
    WORKLOAD_CHECK(peek(zombie_exited, WEXITED, &status) == CLD_EXITED && status == 17, "the first zombie changed");
    WORKLOAD_CHECK(peek(zombie_killed, WEXITED, &status) == CLD_KILLED && status == SIGTERM,
                   "the second zombie changed");
    struct pollfd quiet = {.fd = tell, .events = POLLIN};
    WORKLOAD_CHECK(poll(&quiet, 1, 0) == 0, "the stopped child ran");
}

/// The same through /proc, once nobody will dump any more.
static void check_states(void) {
    check_process("relay", relay, "RSD", root);
    check_process("grandchild", grandchild, "RSD", relay);
    check_process("reader", reader, "RSD", root);
    check_process("stopped child", stopped, "T", root);
    check_process("first zombie", zombie_exited, "Z", root);
    check_process("second zombie", zombie_killed, "Z", root);
}

static void reap(pid_t pid, int code, int status) {
    siginfo_t info = {0};
    WORKLOAD_CALL(waitid(P_PID, (id_t)pid, &info, WEXITED));
    WORKLOAD_CHECK(info.si_pid == pid && info.si_code == code && info.si_status == status,
                   "child %d: code %d and status %d instead of %d and %d", pid, info.si_code, info.si_status, code,
                   status);
}

static pid_t child(void) { return WORKLOAD_CALL(fork()); }

/// Until it is what `state` says; a wait, not a check.
static void await_state(pid_t pid, char state) {
    pid_t parent;
    while (state_of(pid, &parent) != state) workload_pause(1);
}

static void watch(int epoll, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    WORKLOAD_CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event));
}

static uint8_t kept_byte(size_t at) { return (uint8_t)workload_number(1300, at); }

int main(void) {
    workload_begin();
    root = getpid();
    pipe_ends to_relay = new_pipe(0), to_grandchild = new_pipe(0), back = new_pipe(0), tell = new_pipe(0);
    WORKLOAD_CALL(fcntl(back.read, F_SETFL, O_NONBLOCK));  // the other end goes on blocking
    int acknowledged = WORKLOAD_CALL(eventfd(0, EFD_CLOEXEC));
    WORKLOAD_CALL(mkfifo("queue", 0600));

    zombie_exited = child();
    if (zombie_exited == 0) _exit(17);
    zombie_killed = child();
    if (zombie_killed == 0) for (;;) pause();
    WORKLOAD_CALL(kill(zombie_killed, SIGTERM));

    relay = child();
    if (relay == 0) {
        WORKLOAD_CALL(setpgid(0, 0));
        close(back.read), close(to_relay.write), close(tell.read), close(tell.write);
        grandchild = child();
        if (grandchild == 0) {
            close(to_relay.read), close(to_grandchild.write);
            pass_on(to_grandchild.read, back.write, 1, 0);
        }
        close(to_grandchild.read), close(back.write);
        // Tells the root its number, and that nothing changes any more: who reads /proc would take a late close for a loss.
        write_all(acknowledged, &(uint64_t){(uint64_t)grandchild}, sizeof(uint64_t));
        pass_on(to_relay.read, to_grandchild.write, 0, grandchild);
    }
    uint64_t number;
    WORKLOAD_CHECK(read_all(acknowledged, &number, sizeof number), "eventfd");
    grandchild = (pid_t)number;
    close(to_relay.read), close(to_grandchild.read), close(to_grandchild.write), close(back.write);

    reader = child();
    if (reader == 0) {
        close(back.read), close(to_relay.write), close(tell.read), close(tell.write);
        read_fifo(acknowledged);
    }
    stopped = child();
    if (stopped == 0) {
        close(back.read), close(to_relay.write), close(tell.read);
        stop_here(tell.write);
    }
    close(tell.write);
    int status;
    WORKLOAD_CALL(waitpid(stopped, &status, WUNTRACED));
    WORKLOAD_CHECK(WIFSTOPPED(status), "the child did not stop: %#x", status);
    int fifo = WORKLOAD_CALL(open("queue", O_WRONLY | O_CLOEXEC));
    await_state(zombie_exited, 'Z');
    await_state(zombie_killed, 'Z');

    // A pipe of its own size that nobody reads until the end, and one whose writer has gone.
    pipe_ends kept = new_pipe(O_NONBLOCK | O_CLOEXEC), ended = new_pipe(O_CLOEXEC);
    int kept_size = WORKLOAD_CALL(fcntl(kept.write, F_SETPIPE_SZ, 256 * 1024));
    uint8_t bytes[kept_bytes];
    for (size_t at = 0; at < kept_bytes; at++) bytes[at] = kept_byte(at);
    for (size_t at = 0; at < kept_bytes; at += 1500) write_all(kept.write, bytes + at, 1500);
    write_all(ended.write, bytes, ended_bytes);
    close(ended.write);
    int kept_again = WORKLOAD_CALL(dup3(kept.read, 77, O_CLOEXEC));
    int semaphore = WORKLOAD_CALL(eventfd(7, EFD_SEMAPHORE | EFD_NONBLOCK));

    int epoll = WORKLOAD_CALL(epoll_create1(EPOLL_CLOEXEC));
    watch(epoll, back.read, EPOLLIN, workload_number(1400, 0));
    watch(epoll, acknowledged, EPOLLIN, workload_number(1400, 1));
    watch(epoll, kept_again, EPOLLIN | EPOLLONESHOT, workload_number(1400, 2));
    struct epoll_event events[4];
    WORKLOAD_CHECK(epoll_wait(epoll, events, 1, 0) == 1 && events[0].data.u64 == workload_number(1400, 2),
                   "epoll does not see the kept pipe");  // and never again

    uint64_t sent = 0, received = 0, told = 0, heard = 0;
    bool verifying = false;
    workload_ready();
    while (!verifying || received < sent || heard < told) {
        if (!verifying) {
            for (unsigned count = 0; count < burst && sent - received < window; count++, sent++) {
                record made = make_record(sent, 0);
                write_all(to_relay.write, &made, sizeof made);
            }
            for (unsigned count = 0; count < 5 && told - heard < 100; count++, told++)
                write_all(fifo, &(uint64_t){workload_number(1100, told)}, sizeof(uint64_t));
        }
        if (workload_break_now()) received++;
        int count = epoll_wait(epoll, events, 4, 20);
        if (count < 0 && errno == EINTR) continue;
        WORKLOAD_CHECK(count >= 0, "epoll_wait: errno %d", errno);
        for (int each = 0; each < count; each++) {
            if (events[each].data.u64 == workload_number(1400, 1)) {
                WORKLOAD_CHECK(read(acknowledged, &number, sizeof number) == sizeof number, "eventfd: %d", errno);
                heard += number;
                WORKLOAD_CHECK(heard <= told, "the reader acknowledged %lu of %lu numbers", heard, told);
                continue;
            }
            WORKLOAD_CHECK(events[each].data.u64 == workload_number(1400, 0), "epoll says %lx, which nobody watches",
                           events[each].data.u64);
            record one;
            ssize_t got;
            // Writes of a record are atomic, so a record is there whole or not at all.
            for (int most = 0; most < burst && (got = read(back.read, &one, sizeof one)) != -1; most++) {
                WORKLOAD_CHECK(got == sizeof one, "the ring gave %zd bytes", got);
                check_record(&one, received++, 2);
            }
        }
        check_tree(tell.read);
        workload_progress();
        verifying = verifying || workload_verify_requested();
        workload_pause(5);
    }
    WORKLOAD_CHECK(fcntl(kept.write, F_GETPIPE_SZ) == kept_size, "the kept pipe's size changed");
    for (size_t at = 0; at < kept_bytes; at++) {
        uint8_t byte = 0;
        WORKLOAD_CHECK(read(at % 2 ? kept.read : kept_again, &byte, 1) == 1 && byte == kept_byte(at),
                       "byte %zu of the kept pipe is wrong", at);
    }
    WORKLOAD_CHECK(read(kept.read, bytes, 1) == -1 && errno == EAGAIN, "the kept pipe holds too much");
    WORKLOAD_CHECK(read_all(ended.read, bytes, ended_bytes) && read(ended.read, bytes + ended_bytes, 1) == 0,
                   "the pipe without a writer does not end after its content");
    for (size_t at = 0; at < ended_bytes; at++)
        WORKLOAD_CHECK(bytes[at] == kept_byte(at), "byte %zu of the pipe without a writer is wrong", at);
    for (int count = 0; count < 7; count++)
        WORKLOAD_CHECK(read(semaphore, &number, sizeof number) == sizeof number && number == 1, "semaphore: %d", count);
    WORKLOAD_CHECK(read(semaphore, &number, sizeof number) == -1 && errno == EAGAIN, "the semaphore counts too much");
    check_states();
    WORKLOAD_CALL(kill(stopped, SIGCONT));
    WORKLOAD_CHECK(read_all(tell.read, &number, sizeof number) && number == workload_number(1200, 0),
                   "the continued child says something else");
    reap(stopped, CLD_EXITED, 23);
    reap(zombie_exited, CLD_EXITED, 17);
    reap(zombie_killed, CLD_KILLED, SIGTERM);
    close(to_relay.write), close(fifo);  // the rest of the tree ends by end of file
    reap(relay, CLD_EXITED, 0);
    reap(reader, CLD_EXITED, 0);
    WORKLOAD_CHECK(read(back.read, bytes, 1) == 0, "the ring did not end");
    workload_verified();
}
