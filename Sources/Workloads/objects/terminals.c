// pseudoterminals: settings, sizes, modes and locks, what waits in both directions, and sides that are closed
// needs: files
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "workload.h"

/// One pseudoterminal; -1 for a side that is closed.
struct pair {
    int master, slave;
    unsigned index;
};

static void check_bytes(const char *what, const char *found, ssize_t count, const char *wanted, ssize_t length) {
    WORKLOAD_CHECK(count == length, "%s: %zd bytes instead of %zd (errno %d)", what, count, length, errno);
    for (ssize_t i = 0; i < length; i++)
        WORKLOAD_CHECK(found[i] == wanted[i], "%s: byte %zd is %d instead of %d", what, i, found[i], wanted[i]);
}

static void expect(const char *what, int fd, const char *wanted, ssize_t length) {
    char buffer[256];
    ssize_t count = 0;
    // What comes from the other side passes through a worker of the kernel; a line comes whole.
    struct pollfd poller = {fd, POLLIN, 0};
    while (count < length || length == 0) {
        WORKLOAD_CHECK(poll(&poller, 1, 2000) == 1, "%s: nothing to read after %zd bytes", what, count);
        ssize_t more = read(fd, buffer + count, sizeof buffer - (size_t)count);
        WORKLOAD_CHECK(more >= 0, "%s: read: errno %d", what, errno);
        count += more;
        if (length == 0 || more == 0) break;
    }
    check_bytes(what, buffer, count, wanted, length);
}

static void send_bytes(int fd, const char *bytes, ssize_t length) {
    WORKLOAD_CHECK(write(fd, bytes, (size_t)length) == length, "write: errno %d", errno);
}

static struct pair make(bool opens) {
    struct pair pair = {WORKLOAD_CALL(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)), -1, 0};
    WORKLOAD_CALL(ioctl(pair.master, TIOCGPTN, &pair.index));
    WORKLOAD_CALL(unlockpt(pair.master));
    if (opens) {
        char name[64];
        WORKLOAD_CHECK(ptsname_r(pair.master, name, sizeof name) == 0, "ptsname: errno %d", errno);
        pair.slave = WORKLOAD_CALL(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    }
    return pair;
}

/// Lines, an end of file, a line under way: what waits in canonical mode.
static void fill_lines(struct pair pair) { send_bytes(pair.master, "first\nsecond\n\004thi\026\004rd", 21); }

static void check_lines(struct pair pair) {
    expect("first line", pair.slave, "first\n", 6);
    expect("second line", pair.slave, "second\n", 7);
    expect("end of file", pair.slave, "", 0);
    struct pollfd poller = {pair.slave, POLLIN, 0};
    WORKLOAD_CHECK(poll(&poller, 1, 0) == 0, "a line that nobody has ended can be read");
    send_bytes(pair.master, "\177D\n", 3);
    expect("third line", pair.slave, "thi\004rD\n", 7);
}

static const char raw[] = "\021\023\004\003\n\r\0\177\377end";

static void same_settings(const char *what, int fd, const struct termios *wanted) {
    struct termios found;
    WORKLOAD_CALL(tcgetattr(fd, &found));
    WORKLOAD_CHECK(
        found.c_iflag == wanted->c_iflag && found.c_oflag == wanted->c_oflag && found.c_cflag == wanted->c_cflag &&
            found.c_lflag == wanted->c_lflag && found.c_line == wanted->c_line,
        "%s: flags %x %x %x %x instead of %x %x %x %x", what, found.c_iflag, found.c_oflag, found.c_cflag,
        found.c_lflag, wanted->c_iflag, wanted->c_oflag, wanted->c_cflag, wanted->c_lflag);
    for (int i = 0; i < 19; i++)
        WORKLOAD_CHECK(found.c_cc[i] == wanted->c_cc[i], "%s: character %d", what, i);
}

static short polled(int fd) {
    struct pollfd poller = {fd, POLLIN | POLLOUT, 0};
    WORKLOAD_CALL(poll(&poller, 1, 0));
    return poller.revents;
}

static bool has_index(struct pair pair) {
    unsigned index = ~0u;
    return ioctl(pair.master, TIOCGPTN, &index) == 0 && index == pair.index;
}

int main(void) {
    workload_begin();
    struct termios settings;

    struct pair cooked = make(true);
    WORKLOAD_CALL(tcgetattr(cooked.slave, &settings));
    settings.c_lflag = ICANON | IEXTEN | ISIG;
    settings.c_oflag = OPOST | ONLCR;
    settings.c_cc[VINTR] = 7;
    struct termios cooked_settings = settings;
    WORKLOAD_CALL(tcsetattr(cooked.slave, TCSANOW, &settings));
    struct winsize size = {33, 77, 330, 770};
    WORKLOAD_CALL(ioctl(cooked.master, TIOCSWINSZ, &size));
    WORKLOAD_CALL(fchmod(cooked.slave, 0640));

    struct pair plain = make(true);
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = 3;
    settings.c_cc[VTIME] = 9;
    struct termios plain_settings = settings;
    WORKLOAD_CALL(tcsetattr(plain.slave, TCSANOW, &settings));
    WORKLOAD_CALL(ioctl(plain.slave, TIOCEXCL));

    struct pair packet = make(true);
    WORKLOAD_CALL(tcsetattr(packet.slave, TCSANOW, &settings));
    WORKLOAD_CALL(ioctl(packet.master, TIOCPKT, &(int){1}));

    struct pair external = make(true);
    WORKLOAD_CALL(tcgetattr(external.slave, &settings));
    settings.c_lflag = ICANON | EXTPROC;
    struct termios external_settings = settings;
    WORKLOAD_CALL(tcsetattr(external.slave, TCSANOW, &settings));

    struct pair stopped = make(true);
    send_bytes(stopped.master, "\023", 1);
    while (polled(stopped.slave) & POLLOUT) workload_pause(1);
    struct pair flow = make(true);
    WORKLOAD_CALL(tcflow(flow.slave, TCOOFF));

    struct pair unopened = make(false);
    WORKLOAD_CALL(ioctl(unopened.master, TIOCSPTLCK, &(int){1}));
    struct pair closed = make(true);
    send_bytes(closed.slave, "last words", 10);
    WORKLOAD_CALL(close(closed.slave));
    struct pair hung = make(true);
    WORKLOAD_CALL(close(hung.master));

    fill_lines(cooked);
    send_bytes(cooked.slave, "out\n", 4);
    send_bytes(plain.master, raw, sizeof raw);
    send_bytes(plain.slave, raw, sizeof raw);
    send_bytes(packet.slave, "packet", 6);
    send_bytes(external.master, "a\nb\n", 4);
    workload_ready();
    bool breaks = false;
    while (!workload_verify_requested()) {
        if (workload_break_now()) breaks = true;
        if (breaks) send_bytes(cooked.master, "more\n", 5);

        check_lines(cooked);
        expect("output", cooked.master, "out\r\n", 5);
        same_settings("cooked", cooked.slave, &cooked_settings);
        struct winsize found;
        WORKLOAD_CALL(ioctl(cooked.slave, TIOCGWINSZ, &found));
        WORKLOAD_CHECK(
            found.ws_row == 33 && found.ws_col == 77 && found.ws_xpixel == 330 && found.ws_ypixel == 770,
            "size %d x %d", found.ws_row, found.ws_col);
        struct stat status;
        WORKLOAD_CALL(fstat(cooked.slave, &status));
        WORKLOAD_CHECK((status.st_mode & 07777) == 0640, "mode %o", status.st_mode);

        expect("raw input", plain.slave, raw, sizeof raw);
        expect("raw output", plain.master, raw, sizeof raw);
        same_settings("raw", plain.slave, &plain_settings);
        int value = -1;
        WORKLOAD_CALL(ioctl(plain.slave, TIOCGEXCL, &value));
        WORKLOAD_CHECK(value == 1, "not exclusive any more");
        WORKLOAD_CALL(ioctl(plain.master, TIOCGEXCL, &value));
        WORKLOAD_CHECK(value == 0, "the master became exclusive");

        WORKLOAD_CALL(ioctl(packet.master, TIOCGPKT, &value));
        WORKLOAD_CHECK(value == 1, "packet mode is off");
        expect("packet", packet.master, "\0packet", 7);

        expect("external processing", external.slave, "a\nb\n", 4);
        same_settings("external", external.slave, &external_settings);

        WORKLOAD_CHECK(!(polled(stopped.slave) & POLLOUT), "stopped output runs");
        send_bytes(stopped.master, "\021", 1);
        for (int i = 0; i < 1000 && !(polled(stopped.slave) & POLLOUT); i++) workload_pause(1);
        WORKLOAD_CHECK(polled(stopped.slave) & POLLOUT, "stopped output does not start by Control-Q");
        send_bytes(stopped.master, "\023", 1);
        while (polled(stopped.slave) & POLLOUT) workload_pause(1);
        WORKLOAD_CHECK(!(polled(flow.slave) & POLLOUT), "output that tcflow has stopped runs");

        WORKLOAD_CALL(ioctl(unopened.master, TIOCGPTLCK, &value));
        WORKLOAD_CHECK(value == 1, "unlocked");
        WORKLOAD_CHECK(!(polled(unopened.master) & POLLHUP), "a slave that nobody has opened was closed");
        WORKLOAD_CHECK(polled(closed.master) & POLLHUP, "a closed slave is open");
        WORKLOAD_CHECK(polled(closed.master) & POLLIN, "last words are lost");
        char byte;
        WORKLOAD_CHECK(read(hung.slave, &byte, 1) == 0, "a slave without a master can be read");
        WORKLOAD_CHECK(write(hung.slave, &byte, 1) == -1 && errno == EIO, "a slave without a master can be written");
        WORKLOAD_CHECK(
            has_index(cooked) && has_index(plain) && has_index(packet) && has_index(external) && has_index(stopped) &&
                has_index(flow) && has_index(unopened) && has_index(closed),
            "a terminal has another index");
        char name[64], wanted[64];
        WORKLOAD_CHECK(ttyname_r(cooked.slave, name, sizeof name) == 0, "ttyname: errno %d", errno);
        snprintf(wanted, sizeof wanted, "/dev/pts/%u", cooked.index);
        for (int i = 0; wanted[i]; i++) WORKLOAD_CHECK(name[i] == wanted[i], "ttyname: %s", name);

        fill_lines(cooked);
        send_bytes(cooked.slave, "out\n", 4);
        send_bytes(plain.master, raw, sizeof raw);
        send_bytes(plain.slave, raw, sizeof raw);
        send_bytes(packet.slave, "packet", 6);
        send_bytes(external.master, "a\nb\n", 4);
        workload_progress();
        workload_pause(5);
    }
    workload_verified();
}
