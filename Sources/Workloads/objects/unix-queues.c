// UNIX socket pairs of all types with queued data, message borders, empty messages and closed directions
// needs: unix-sockets
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "workload.h"

#define LONG 150000

static unsigned char sent[LONG], got[LONG + 1];

static void fill(unsigned stream) {
    for (size_t index = 0; index < sizeof sent; index++) sent[index] = (unsigned char)workload_number(stream, index / 8);
}

static void expect(int from, const unsigned char *bytes, size_t count, const char *what) {
    ssize_t answer = recv(from, got, sizeof got, MSG_DONTWAIT);
    WORKLOAD_CHECK(answer == (ssize_t)count, "%s: %zd of %zu bytes, errno %d", what, answer, count, errno);
    for (size_t index = 0; index < count; index++)
        WORKLOAD_CHECK(got[index] == bytes[index], "%s: byte %zu differs", what, index);
}

static void expect_stream(int from, const unsigned char *bytes, size_t count, const char *what) {
    for (size_t done = 0; done < count;) {
        ssize_t answer = recv(from, got, count - done, MSG_DONTWAIT);
        WORKLOAD_CHECK(answer > 0, "%s: %zd after %zu bytes, errno %d", what, answer, done, errno);
        for (ssize_t index = 0; index < answer; index++)
            WORKLOAD_CHECK(got[index] == bytes[done + (size_t)index], "%s: byte %zu differs", what, done);
        done += (size_t)answer;
    }
}

static void post(int to, size_t start, size_t count) {
    WORKLOAD_CHECK(send(to, sent + start, count, MSG_NOSIGNAL) == (ssize_t)count, "send: errno %d", errno);
}

int main(void) {
    workload_begin();
    fill(1);
    int stream[2], datagram[2], packet[2], half[2];
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagram));
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, packet));
    WORKLOAD_CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, half));
    post(half[0], 100, 1000);
    WORKLOAD_CALL(shutdown(half[0], SHUT_WR));
    int *records[2] = {datagram, packet};
    bool armed = false;
    for (bool ready = false; !workload_verify_requested();) {
        if (!armed) {
            post(stream[0], 0, LONG);
            post(stream[1], 7, 10);
            post(stream[1], 17, 20);
            for (int kind = 0; kind < 2; kind++) {
                post(records[kind][0], 0, 5);
                post(records[kind][0], 0, 0);
                post(records[kind][0], 50, 70000);
                post(records[kind][0], 0, 0);
                post(records[kind][1], 3, 1);
            }
            armed = true;
        }
        if (!ready) workload_ready();
        ready = true;
        workload_pause(20);
        if (workload_break_now()) expect(datagram[1], sent, 5, "a break");
        expect_stream(stream[1], sent, LONG, "stream");
        expect_stream(stream[0], sent + 7, 30, "stream, the other way");
        WORKLOAD_CHECK(recv(stream[0], got, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "the stream has more: %d", errno);
        for (int kind = 0; kind < 2; kind++) {
            expect(records[kind][1], sent, 5, "first");
            expect(records[kind][1], sent, 0, "empty");
            expect(records[kind][1], sent + 50, 70000, "long");
            expect(records[kind][1], sent, 0, "last");
            expect(records[kind][0], sent + 3, 1, "the other way");
            WORKLOAD_CHECK(recv(records[kind][1], got, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "more: %d", errno);
        }
        armed = false;
        WORKLOAD_CHECK(send(half[0], sent, 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "the closed direction: %d", errno);
        WORKLOAD_CHECK(recv(half[1], got, 1, MSG_PEEK) == 1 && got[0] == sent[100], "what came before the end");
        post(half[1], 0, 4);
        expect_stream(half[0], sent, 4, "the open direction");
        WORKLOAD_CHECK((fcntl(packet[0], F_GETFL) & O_NONBLOCK) != 0, "O_NONBLOCK is gone");
        WORKLOAD_CHECK(fcntl(datagram[1], F_GETFD) == FD_CLOEXEC, "FD_CLOEXEC is gone");
        workload_progress();
    }
    expect_stream(half[1], sent + 100, 1000, "half");
    WORKLOAD_CHECK(recv(half[1], got, 1, 0) == 0, "no end behind the data");
    workload_verified();
}
