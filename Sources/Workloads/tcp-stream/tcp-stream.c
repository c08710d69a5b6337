// A server that checks every byte of the streams it gets and answers each with another. Its own client in the same
// process keeps it at work; others may connect from outside (`witness`).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "workload.h"

enum { first_port = 17300, most = 16, room = 16384 };

/// Byte `position` of a stream; answers are the stream moved by one seed. `witness` computes the same.
static unsigned char byte_at(uint64_t position, unsigned seed) {
    return (unsigned char)(position % 65521 * 31 + position / 65521 + seed);
}

struct connection {
    int descriptor;
    uint64_t taken, given;
};

static int listener;
static struct connection connections[most];
static int count;
static unsigned char buffer[room];

static void drop(int index) {
    close(connections[index].descriptor);
    connections[index] = connections[--count];
}

/// Takes what has come and gives as many bytes back.
static void serve(int index) {
    struct connection *connection = &connections[index];
    ssize_t got = recv(connection->descriptor, buffer, room, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) got = 0;
    else if (got == 0 && connection->given == connection->taken) return drop(index);
    WORKLOAD_CHECK(got >= 0, "recv on a connection: errno %d", errno);
    for (ssize_t offset = 0; offset < got; offset++) {
        uint64_t position = connection->taken + (uint64_t)offset;
        WORKLOAD_CHECK(buffer[offset] == byte_at(position, 0), "byte %llu of a stream is %u instead of %u",
            (unsigned long long)position, buffer[offset], byte_at(position, 0));
    }
    connection->taken += (uint64_t)got;
    while (connection->given < connection->taken) {
        uint64_t left = connection->taken - connection->given;
        size_t piece = left < room ? (size_t)left : room;
        for (size_t offset = 0; offset < piece; offset++) buffer[offset] = byte_at(connection->given + offset, 101);
        ssize_t sent = send(connection->descriptor, buffer, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
        WORKLOAD_CHECK(sent > 0, "send on a connection: errno %d", errno);
        connection->given += (uint64_t)sent;
    }
}

static void turn(int milliseconds) {
    struct pollfd looks[most + 1];
    for (int index = 0; index < count; index++) {
        bool owes = connections[index].given < connections[index].taken;
        looks[index] = (struct pollfd){connections[index].descriptor, (short)(POLLIN | (owes ? POLLOUT : 0)), 0};
    }
    looks[count] = (struct pollfd){listener, POLLIN, 0};
    int known = count;
    if (poll(looks, (nfds_t)known + 1, milliseconds) < 0) return;
    if (looks[known].revents && count < most) {
        int descriptor = accept(listener, NULL, NULL);
        if (descriptor >= 0) connections[count++] = (struct connection){descriptor, 0, 0};
    }
    for (int index = known - 1; index >= 0; index--)
        if (looks[index].revents) serve(index);
}

int main(void) {
    workload_begin();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    int port = first_port, yes = 1;
    WORKLOAD_CALL(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes));
    for (;; port++) {
        address.sin_port = htons((uint16_t)port);
        if (bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, most) == 0) break;
        WORKLOAD_CHECK(errno == EADDRINUSE && port < first_port + 100, "bind: errno %d", errno);
    }
    char text[6];
    int length = snprintf(text, sizeof text, "%d", port);
    int file = WORKLOAD_CALL(open("port", O_WRONLY | O_CREAT | O_TRUNC, 0644));
    WORKLOAD_CHECK(write(file, text, (size_t)length) == length, "port: errno %d", errno);
    WORKLOAD_CALL(close(file));
    int own = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    WORKLOAD_CALL(connect(own, (struct sockaddr *)&address, sizeof address));
    uint64_t given = 0, taken = 0;
    workload_ready();
    for (uint64_t step = 0; !workload_verify_requested() || taken < given; step++) {
        if (workload_break_now()) given++;
        unsigned char piece[64];
        while (given < step * sizeof piece && given - taken < 4096) {
            for (size_t offset = 0; offset < sizeof piece; offset++) piece[offset] = byte_at(given + offset, 0);
            WORKLOAD_CHECK(send(own, piece, sizeof piece, 0) == sizeof piece, "send: errno %d", errno);
            given += sizeof piece;
        }
        turn(5);
        ssize_t got;
        while ((got = recv(own, piece, sizeof piece, MSG_DONTWAIT)) > 0) {
            for (ssize_t offset = 0; offset < got; offset++)
                WORKLOAD_CHECK(piece[offset] == byte_at(taken + (uint64_t)offset, 101), "answer %llu is another",
                    (unsigned long long)(taken + (uint64_t)offset));
            taken += (uint64_t)got;
        }
        WORKLOAD_CHECK(got < 0 && errno == EAGAIN, "own connection: %zd, errno %d", got, errno);
        workload_progress();
    }
    workload_verified();
}
