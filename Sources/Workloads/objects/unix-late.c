// a UNIX socket whose clients have sent something before they are accepted
// needs: unix-sockets
#include <sys/socket.h>
#include <sys/un.h>

#include "workload.h"

int main(void) {
    workload_begin();
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "server"};
    int listener = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
    WORKLOAD_CALL(bind(listener, (struct sockaddr *)&address, sizeof address));
    WORKLOAD_CALL(listen(listener, 4));
    // Whenever it sleeps it has three sockets.
    int client = -1, server = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
    for (uint64_t step = 0; step == 0 || !workload_verify_requested(); step++) {
        close(client);
        client = WORKLOAD_CALL(socket(AF_UNIX, SOCK_STREAM, 0));
        WORKLOAD_CALL(connect(client, (struct sockaddr *)&address, sizeof address));
        uint64_t sent = workload_number(1, step), got = 0;
        WORKLOAD_CALL(write(client, &sent, sizeof sent));
        if (step == 0) workload_ready();
        workload_pause(8);
        close(server);
        server = WORKLOAD_CALL(accept(listener, NULL, NULL));
        if (workload_break_now()) sent++;
        WORKLOAD_CHECK(read(server, &got, sizeof got) == sizeof got && got == sent, "what was sent got lost");
        workload_progress();
        // A dump waits for a moment in which nobody waits.
        workload_pause(8);
    }
    workload_verified();
}
