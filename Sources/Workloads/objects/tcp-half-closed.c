// half-closed TCP connections: who sent its end and who got it, with bytes that were not read
// needs: tcp, loopback
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "workload.h"

static int listener;
static struct sockaddr_in address = {.sin_family = AF_INET};

static void connected(int *client, int *server) {
    *client = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM, 0));
    WORKLOAD_CALL(connect(*client, (struct sockaddr *)&address, sizeof address));
    *server = WORKLOAD_CALL(accept(listener, NULL, NULL));
}

static int state(int descriptor) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    WORKLOAD_CALL(getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length));
    return info.tcpi_state;
}

static void reach(int descriptor, int wanted, const char *what) {
    for (int turn = 0; turn < 2000 && state(descriptor) != wanted; turn++) workload_pause(1);
    WORKLOAD_CHECK(state(descriptor) == wanted, "%s: state %d instead of %d", what, state(descriptor), wanted);
}

int main(void) {
    workload_begin();
    listener = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM, 0));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    WORKLOAD_CALL(bind(listener, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(listen(listener, 5));
    socklen_t length = sizeof address;
    WORKLOAD_CALL(getsockname(listener, (struct sockaddr *)&address, &length));

    int closing, closed, ended, other, deaf, loud;
    connected(&closing, &closed);
    WORKLOAD_CHECK(send(closing, "last words", 10, 0) == 10, "send: errno %d", errno);
    WORKLOAD_CALL(shutdown(closing, SHUT_WR));
    // A connection that both have ended, with bytes left.
    connected(&ended, &other);
    WORKLOAD_CHECK(send(ended, "bye", 3, 0) == 3, "send: errno %d", errno);
    WORKLOAD_CALL(shutdown(ended, SHUT_WR));
    reach(other, TCP_CLOSE_WAIT, "the other");
    WORKLOAD_CALL(shutdown(other, SHUT_WR));
    reach(other, TCP_CLOSE, "the other");
    reach(ended, TCP_CLOSE, "the ended");
    // One that does not want to hear any more.
    connected(&deaf, &loud);
    WORKLOAD_CALL(shutdown(deaf, SHUT_RD));
    reach(closing, TCP_FIN_WAIT2, "who closed");
    reach(closed, TCP_CLOSE_WAIT, "whose peer closed");
    workload_ready();
    uint64_t count = 0;
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CALL(shutdown(closed, SHUT_WR));
        WORKLOAD_CHECK(state(closing) == TCP_FIN_WAIT2, "who closed is in state %d", state(closing));
        WORKLOAD_CHECK(state(closed) == TCP_CLOSE_WAIT, "whose peer closed is in state %d", state(closed));
        WORKLOAD_CHECK(state(other) == TCP_CLOSE && state(ended) == TCP_CLOSE, "an ended connection is not");
        // The other way is open.
        uint64_t value = 0;
        WORKLOAD_CHECK(send(closed, &count, sizeof count, 0) == sizeof count, "send: errno %d", errno);
        WORKLOAD_CHECK(recv(closing, &value, sizeof value, MSG_WAITALL) == sizeof value, "recv: errno %d", errno);
        WORKLOAD_CHECK(value == count, "another number");
        count++;
        WORKLOAD_CHECK(send(closing, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "a closed side sends");
        struct pollfd look = {.fd = deaf, .events = POLLRDHUP};
        WORKLOAD_CHECK(poll(&look, 1, 0) == 1 && look.revents & POLLRDHUP, "a side shut down for reading reads");
        WORKLOAD_CHECK(send(deaf, "!", 1, 0) == 1 && recv(loud, &value, 1, MSG_WAITALL) == 1, "its other way: %d", errno);
        workload_progress();
        workload_pause(5);
    }
    char text[16] = {0};
    WORKLOAD_CHECK(recv(closed, text, 16, 0) == 10 && text[0] == 'l' && text[9] == 's', "the last words are lost");
    WORKLOAD_CHECK(recv(closed, text, 16, 0) == 0, "the end is lost");
    WORKLOAD_CHECK(recv(other, text, 16, 0) == 3 && text[0] == 'b', "the bytes of the ended connection are lost");
    WORKLOAD_CHECK(recv(other, text, 16, 0) == 0, "the end of the ended connection is lost");
    workload_verified();
}
