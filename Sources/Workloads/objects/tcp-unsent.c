// a TCP connection whose peer does not read: a full receive window, bytes that could not be sent, an end behind them
// needs: tcp, loopback
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "workload.h"

static unsigned char number(size_t position) { return (unsigned char)(position * 2654435761u >> 13); }

int main(void) {
    workload_begin();
    int listener = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    WORKLOAD_CALL(bind(listener, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(listen(listener, 1));
    socklen_t length = sizeof address;
    WORKLOAD_CALL(getsockname(listener, (struct sockaddr *)&address, &length));
    int client = WORKLOAD_CALL(socket(AF_INET, SOCK_STREAM, 0));
    WORKLOAD_CALL(connect(client, (struct sockaddr *)&address, sizeof address));
    int server = WORKLOAD_CALL(accept(listener, NULL, NULL));
    size_t sent = 0, taken = 0;
    static unsigned char buffer[4096];
    for (int idle = 0; idle < 20;) {
        for (size_t index = 0; index < sizeof buffer; index++) buffer[index] = number(sent + index);
        ssize_t count = send(client, buffer, sizeof buffer, MSG_DONTWAIT);
        if (count > 0) sent += (size_t)count;
        idle = count > 0 ? 0 : idle + 1;
        if (count < 0) workload_pause(5);
    }
    // Behind all of that.
    WORKLOAD_CALL(shutdown(client, SHUT_WR));
    workload_ready();
    while (!workload_verify_requested()) {
        if (workload_break_now()) WORKLOAD_CHECK(recv(server, buffer, 1, 0) == 1, "recv: errno %d", errno);
        // Little enough that most of it is there at the dump.
        if (taken + 100 < sent / 2) {
            WORKLOAD_CHECK(recv(server, buffer, 10, MSG_WAITALL) == 10, "recv: errno %d", errno);
            for (size_t index = 0; index < 10; index++)
                WORKLOAD_CHECK(buffer[index] == number(taken + index), "byte %zu is another", taken + index);
            taken += 10;
        }
        workload_progress();
        workload_pause(5);
    }
    ssize_t count;
    while ((count = recv(server, buffer, sizeof buffer, 0)) > 0) {
        for (ssize_t index = 0; index < count; index++)
            WORKLOAD_CHECK(buffer[index] == number(taken + (size_t)index), "byte %zu is another", taken + (size_t)index);
        taken += (size_t)count;
    }
    WORKLOAD_CHECK(count == 0, "recv: errno %d", errno);
    WORKLOAD_CHECK(taken == sent, "%zu bytes of %zu came", taken, sent);
    workload_verified();
}
