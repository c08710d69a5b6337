// Holds one object that a dump may not know, and uses it at every step: `holder KIND`. For the tests that show how a
// dump refuses by name and the program runs on unharmed; not a workload of the lab, so it has no workload.json.
// Ends with `cannot: why` where this machine does not give such an object.
#include <asm/ldt.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "workload.h"

static int held = -1, other = -1, outside_file = -1;
static pid_t child;
static aio_context_t aio;
static volatile uint64_t *memory;

__attribute__((noreturn)) static void cannot(const char *what) {
    char line[200];
    snprintf(line, sizeof line, "cannot: %s: %s\n", what, strerror(errno));
    workload_event(line);
    _exit(77);
}

static int made(long descriptor, const char *what) {
    if (descriptor < 0) cannot(what);
    return (int)descriptor;
}

static void must(bool condition, const char *what) { WORKLOAD_CHECK(condition, "%s: errno %d", what, errno); }

static void make_io_uring(void) {
    struct io_uring_params parameters = {0};
    held = made(syscall(SYS_io_uring_setup, 4, &parameters), "io_uring_setup");
}
static void use_io_uring(void) { must(syscall(SYS_io_uring_enter, held, 0, 0, 0, NULL, 0) == 0, "io_uring_enter"); }

// With something that can be polled: whether a request does so is not to be seen.
static void make_aio(void) {
    made(syscall(SYS_io_setup, 4, &aio), "io_setup");
    made(eventfd(0, EFD_CLOEXEC), "eventfd");
}
static void use_aio(void) {
    struct io_event event;
    must(syscall(SYS_io_getevents, aio, 0, 1, &event, &(struct timespec){0, 0}) == 0, "io_getevents");
}

static void make_socketpair(void) {
    int ends[2];
    made(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
    held = ends[0], other = ends[1];
}
static void use_both_ends(void) {
    uint64_t sent = workload_progress_count, got = 0;
    must(write(held, &sent, sizeof sent) == sizeof sent && read(other, &got, sizeof got) == sizeof got && got == sent,
         "the other end");
}

static void make_unix_listener(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "listener"};
    held = made(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
    must(bind(held, (struct sockaddr *)&address, sizeof address) == 0 && listen(held, 4) == 0, "listen");
}
static void use_unix_listener(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "listener"};
    int client = made(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
    must(connect(client, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    close(made(accept(held, NULL, NULL), "accept"));
    close(client);
}

static struct sockaddr_in loopback;
static void name_of(int socket) {
    socklen_t size = sizeof loopback;
    must(getsockname(socket, (struct sockaddr *)&loopback, &size) == 0, "getsockname");
}
static void make_internet(int type) {
    loopback = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    held = made(socket(AF_INET, type, 0), "socket");
    must(bind(held, (struct sockaddr *)&loopback, sizeof loopback) == 0, "bind");
    name_of(held);
}
static void make_udp(void) {
    make_internet(SOCK_DGRAM);
    must(connect(held, (struct sockaddr *)&loopback, sizeof loopback) == 0, "connect");
    other = held;
}
static void make_tcp(void) {
    make_internet(SOCK_STREAM);
    int listener = held;
    must(listen(listener, 1) == 0, "listen");
    held = made(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(connect(held, (struct sockaddr *)&loopback, sizeof loopback) == 0, "connect");
    other = made(accept(listener, NULL, NULL), "accept");
    close(listener);
}
static void make_netlink(void) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    held = made(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), "socket");
    must(bind(held, (struct sockaddr *)&address, sizeof address) == 0, "bind");
}
static void use_descriptor(void) { must(fcntl(held, F_GETFD) >= 0, "the descriptor"); }

static void make_inotify(void) {
    held = made(inotify_init1(IN_NONBLOCK), "inotify_init1");
    must(inotify_add_watch(held, ".", IN_CREATE) > 0, "inotify_add_watch");
}
static void use_inotify(void) {
    char events[4096];
    close(made(open("watched", O_RDWR | O_CREAT, 0600), "open"));
    must(read(held, events, sizeof events) > 0 && unlink("watched") == 0, "the watch");
}

static void make_fanotify(void) {
    held = made(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY), "fanotify_init");
    made(fanotify_mark(held, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, "progress"), "fanotify_mark");
}

static void make_userfaultfd(void) {
    held = made(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), "userfaultfd");
    struct uffdio_api api = {.api = UFFD_API};
    made(syscall(SYS_ioctl, held, UFFDIO_API, &api), "UFFDIO_API");
}

static void make_perf(void) {
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_TASK_CLOCK};
    held = made(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0), "perf_event_open");
}
static void use_perf(void) {
    uint64_t count;
    must(read(held, &count, sizeof count) == sizeof count && count > 0, "the counter");
}

static void make_signalfd(void) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    held = made(signalfd(-1, &mask, SFD_NONBLOCK), "signalfd");
}
static void use_signalfd(void) {
    struct signalfd_siginfo info;
    raise(SIGUSR1);
    must(read(held, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1, "the signal");
}

static void make_pidfd(void) { held = made(syscall(SYS_pidfd_open, getpid(), 0), "pidfd_open"); }
static void use_pidfd(void) { must(syscall(SYS_pidfd_send_signal, held, 0, NULL, 0) == 0, "pidfd_send_signal"); }

static void make_bpf(void) {
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
    held = made(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map), "bpf");
}

static int semaphores = -1;
static void make_sysv_undo(void) {
    semaphores = made(semget(IPC_PRIVATE, 1, 0600), "semget");
    struct sembuf up = {0, 3, SEM_UNDO};
    must(semop(semaphores, &up, 1) == 0, "semop");
}
static void use_sysv_undo(void) { must(semctl(semaphores, 0, GETVAL) == 3, "the semaphore"); }

static void make_mseal(void) {
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    made(syscall(462, memory, 4096, 0), "mseal");
}
static void make_secret_memory(void) {
    int secret = made(syscall(447, 0), "memfd_secret");
    must(ftruncate(secret, 4096) == 0, "ftruncate");
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, secret, 0);
    must(memory != MAP_FAILED && close(secret) == 0, "mmap");
}
static void use_memory(void) { must(*memory == workload_progress_count, "the memory"), *memory += 1; }

static void make_session_keyring(void) {
    // KEYCTL_JOIN_SESSION_KEYRING; KEY_SPEC_SESSION_KEYRING
    made(syscall(SYS_keyctl, 1, NULL), "keyctl");
    made(syscall(SYS_add_key, "user", "crlab", "secret", 6, -3), "add_key");
}
// KEYCTL_SEARCH
static void use_session_keyring(void) { must(syscall(SYS_keyctl, 10, -3, "user", "crlab", 0) > 0, "the key"); }

static void make_segments(void) {
    struct user_desc segment = {.entry_number = 3, .base_addr = 4096, .limit = 1, .seg_32bit = 1, .useable = 1};
    made(syscall(SYS_modify_ldt, 1, &segment, sizeof segment), "modify_ldt");
}
static void use_segments(void) {
    uint64_t table[4] = {0};
    must(syscall(SYS_modify_ldt, 0, table, sizeof table) > 0 && table[3] != 0, "the segment");
}

static void make_landlock(void) {
    // struct landlock_ruleset_attr: LANDLOCK_ACCESS_FS_MAKE_SOCK, which nothing here needs.
    uint64_t handled = 1 << 9;
    int rules = made(syscall(444, &handled, sizeof handled, 0), "landlock_create_ruleset");
    made(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    made(syscall(446, rules, 0), "landlock_restrict_self");
    close(rules);
}
static void use_landlock(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "not-allowed"};
    int descriptor = made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    must(bind(descriptor, (struct sockaddr *)&name, sizeof name) == -1 && errno == EACCES, "the sandbox");
    close(descriptor);
}

static void make_signed_tcp(void) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct tcp_md5sig key = {.tcpm_keylen = 3, .tcpm_key = "key"};
    memcpy(&key.tcpm_addr, &name, sizeof name);
    held = made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    made(setsockopt(held, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key), "TCP_MD5SIG");
    made(bind(held, (struct sockaddr *)&name, sizeof name), "bind");
    made(listen(held, 1), "listen");
}

static void make_mqueue(void) {
    struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 8};
    char name[40];
    snprintf(name, sizeof name, "/crlab-%d", getpid());
    held = made(mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes), "mq_open");
    must(mq_unlink(name) == 0, "mq_unlink");
}
static void use_mqueue(void) {
    uint64_t sent = workload_progress_count, got;
    must(mq_send(held, (char *)&sent, sizeof sent, 0) == 0, "mq_send");
    must(mq_receive(held, (char *)&got, sizeof got, NULL) == sizeof got && got == sent, "mq_receive");
}

static void make_mqueue_notify(void) {
    make_mqueue();
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_int = 4711;
    signal(SIGUSR1, SIG_IGN);
    must(mq_notify(held, &event) == 0, "mq_notify");
}
// Who is registered keeps others from it.
static void use_mqueue_notify(void) {
    must(mq_notify(held, &(struct sigevent){.sigev_notify = SIGEV_NONE}) == -1 && errno == EBUSY, "mq_notify");
}

// A lock must be seen from outside: by a second descriptor, or by another process.
static void make_flock(void) {
    held = made(open("locked", O_RDWR | O_CREAT, 0600), "open");
    other = made(open("locked", O_RDWR), "open");
    must(flock(held, LOCK_EX) == 0, "flock");
}
static void use_flock(void) { must(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the lock"); }

static void make_record_lock(void) {
    held = made(open("locked", O_RDWR | O_CREAT, 0600), "open");
    must(fcntl(held, F_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10}) == 0, "F_SETLK");
}
static void use_record_lock(void) {
    pid_t asker = made(fork(), "fork");
    if (asker == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
        _exit(fcntl(held, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == getppid() ? 0 : 1);
    }
    int status;
    must(waitpid(asker, &status, 0) == asker && status == 0, "the lock");
}

static void make_lease(void) {
    held = made(open("leased", O_RDWR | O_CREAT, 0600), "open");
    made(fcntl(held, F_SETLEASE, F_WRLCK), "F_SETLEASE");
}
static void use_lease(void) { must(fcntl(held, F_GETLEASE) == F_WRLCK, "the lease"); }

__attribute__((noreturn)) static void wait_for_end(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
}
static void make_traced_child(void) {
    child = made(fork(), "fork");
    if (child == 0) wait_for_end();
    made(ptrace(PTRACE_SEIZE, child, NULL, NULL), "ptrace");
}
/// Ends soon after the process that it left.
__attribute__((noreturn)) static void outlive(pid_t root) {
    while (kill(root, 0) == 0) workload_pause(50);
    _exit(0);
}

static void *borrow(void *nothing) {
    // Only the calling thread waits; the child has the memory of all.
    if (vfork() == 0) {
        *(volatile pid_t *)&child = (pid_t)syscall(SYS_getpid);
        while (true) syscall(SYS_pause);
    }
    return nothing;
}
static void make_vfork(void) {
    pthread_t thread;
    must(pthread_create(&thread, NULL, borrow, NULL) == 0, "pthread_create");
    while (*(volatile pid_t *)&child == 0) workload_pause(1);
}

static void make_foreign_terminal(void) {
    int master = made(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), "a terminal");
    must(unlockpt(master) == 0, "unlockpt");
    held = made(open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC), "a terminal");
    pid_t root = getpid(), between = made(fork(), "fork");
    if (between == 0) {
        if (fork() != 0) _exit(0);
        setsid();
        outlive(root);
    }
    must(waitpid(between, NULL, 0) == between, "waitpid");
    must(close(master) == 0, "close");
}
static void use_terminal(void) { must(isatty(held), "the terminal"); }

static void make_stray(void) {
    int ends[2];
    must(pipe2(ends, O_CLOEXEC) == 0, "a pipe");
    pid_t root = getpid(), between = made(fork(), "fork");
    if (between == 0) {
        pid_t stray = fork();
        if (stray == 0) {
            close(ends[0]);
            close(ends[1]);
            outlive(root);
        }
        must(write(ends[1], &stray, sizeof stray) == sizeof stray, "write");
        _exit(0);
    }
    must(read(ends[0], &other, sizeof other) == sizeof other, "read");
    must(waitpid(between, NULL, 0) == between, "waitpid");
    close(ends[0]);
    close(ends[1]);
}
static void use_stray(void) { must(getsid(other) == getsid(0), "the process that has left"); }

static void name_socket(struct sockaddr_un *address, const char *name) {
    address->sun_family = AF_UNIX;
    WORKLOAD_CHECK(getcwd(address->sun_path, sizeof address->sun_path - 16) != NULL, "getcwd: errno %d", errno);
    strcat(address->sun_path, name);
}

// Listens to what its streams say; gone when somebody has removed its folder.
__attribute__((noreturn)) static void serve_outside(int listener, int log) {
    struct pollfd polled[18] = {{.fd = listener, .events = POLLIN}, {.fd = log, .events = POLLIN}};
    int count = 2;
    uint64_t word;
    while (access("progress", F_OK) == 0) {
        if (poll(polled, (nfds_t)count, 50) <= 0) continue;
        for (int i = 2; i < count; i++) {
            if (!polled[i].revents) continue;
            if (read(polled[i].fd, &word, sizeof word) > 0) continue;
            close(polled[i].fd);
            polled[i--] = polled[--count];
        }
        if (polled[1].revents && recv(log, &word, sizeof word, 0) != sizeof word) _exit(1);
        if (polled[0].revents && count < 18) {
            polled[count++] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
        }
    }
    _exit(0);
}

// A stream and a datagram socket whose peers are outside the tree, and a file there.
static void make_outside(void) {
    struct sockaddr_un stream = {0}, log = {0};
    name_socket(&stream, "/outside-stream");
    name_socket(&log, "/outside-log");
    int listener = made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "a socket");
    int logger = made(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a socket");
    must(bind(listener, (struct sockaddr *)&stream, sizeof stream) == 0 && listen(listener, 4) == 0, "bind");
    must(bind(logger, (struct sockaddr *)&log, sizeof log) == 0, "bind");
    pid_t between = made(fork(), "fork");
    if (between == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        setsid();
        serve_outside(listener, logger);
    }
    must(waitpid(between, NULL, 0) == between, "waitpid");
    close(listener);
    close(logger);
    held = made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "a socket");
    other = made(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a socket");
    must(connect(held, (struct sockaddr *)&stream, sizeof stream) == 0, "connect");
    must(connect(other, (struct sockaddr *)&log, sizeof log) == 0, "connect");
    outside_file = made(open("outside-file", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "a file");
    must(write(outside_file, "here", 4) == 4 && lseek(outside_file, 2, SEEK_SET) == 2, "the file");
}
static void use_outside(void) {
    uint64_t word = workload_progress_count;
    must(write(held, &word, sizeof word) == sizeof word, "the stream");
    must(write(other, &word, sizeof word) == sizeof word, "the datagram socket");
    must(lseek(outside_file, 0, SEEK_CUR) >= 0, "the file");
}

static void use_child(void) { must(waitpid(child, NULL, WNOHANG) == 0 && kill(child, 0) == 0, "the child"); }

static const struct {
    const char *name;
    void (*make)(void);
    void (*use)(void);
} kinds[] = {
    {"io_uring", make_io_uring, use_io_uring},
    {"aio", make_aio, use_aio},
    {"socketpair", make_socketpair, use_both_ends},
    {"unix-listener", make_unix_listener, use_unix_listener},
    {"udp", make_udp, use_both_ends},
    {"tcp", make_tcp, use_both_ends},
    {"netlink", make_netlink, use_descriptor},
    {"inotify", make_inotify, use_inotify},
    {"fanotify", make_fanotify, use_descriptor},
    {"userfaultfd", make_userfaultfd, use_descriptor},
    {"perf", make_perf, use_perf},
    {"signalfd", make_signalfd, use_signalfd},
    {"pidfd", make_pidfd, use_pidfd},
    {"bpf", make_bpf, use_descriptor},
    {"sysv-undo", make_sysv_undo, use_sysv_undo},
    {"mseal", make_mseal, use_memory},
    {"secret-memory", make_secret_memory, use_memory},
    {"session-keyring", make_session_keyring, use_session_keyring},
    {"segments", make_segments, use_segments},
    {"landlock", make_landlock, use_landlock},
    {"signed-tcp", make_signed_tcp, use_descriptor},
    {"mqueue", make_mqueue, use_mqueue},
    {"mqueue-notify", make_mqueue_notify, use_mqueue_notify},
    {"flock", make_flock, use_flock},
    {"record-lock", make_record_lock, use_record_lock},
    {"lease", make_lease, use_lease},
    {"traced-child", make_traced_child, use_child},
    {"vfork", make_vfork, use_child},
    {"foreign-terminal", make_foreign_terminal, use_terminal},
    {"stray", make_stray, use_stray},
    {"outside", make_outside, use_outside},
};

int main(int argc, char **argv) {
    workload_begin();
    for (size_t each = 0; argc == 2 && each < sizeof kinds / sizeof *kinds; each++) {
        if (strcmp(argv[1], kinds[each].name) != 0) continue;
        kinds[each].make();
        kinds[each].use();
        workload_progress();
        workload_ready();
        while (!workload_verify_requested()) {
            workload_pause(10);
            kinds[each].use();
            workload_progress();
        }
        if (child > 0) kill(child, SIGKILL);
        if (semaphores >= 0) semctl(semaphores, 0, IPC_RMID);
        workload_verified();
    }
    workload_fail("usage: holder KIND");
}
