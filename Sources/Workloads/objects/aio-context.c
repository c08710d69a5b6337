// an AIO context with finished requests that nobody has taken yet; its ring counts on where it stood
// needs: files
#include <linux/aio_abi.h>
#include <sys/syscall.h>

#include "workload.h"

/// The kernel's struct aio_ring, which libaio reads too.
struct ring {
    uint32_t id, capacity, head, tail, magic, compatible, incompatible, length;
};

static aio_context_t context;
static int descriptor;
static char buffer[16];
static uint64_t submitted, taken;

static void submit(void) {
    struct iocb request = {0}, *list[] = {&request};
    request.aio_data = workload_number(9, submitted++);
    request.aio_lio_opcode = IOCB_CMD_PREAD;
    request.aio_fildes = (uint32_t)descriptor;
    request.aio_buf = (uint64_t)(uintptr_t)buffer;
    request.aio_nbytes = sizeof buffer;
    WORKLOAD_CHECK(syscall(SYS_io_submit, context, 1, list) == 1, "io_submit: errno %d", errno);
}

static void take(void) {
    struct io_event event;
    struct timespec none = {0, 0};
    long count = syscall(SYS_io_getevents, context, 1, 1, &event, &none);
    WORKLOAD_CHECK(count == 1, "io_getevents gives %ld, errno %d", count, errno);
    WORKLOAD_CHECK(event.data == workload_number(9, taken), "event %u is another one", (unsigned)taken);
    WORKLOAD_CHECK(event.res == sizeof buffer, "event %u: %d bytes", (unsigned)taken, (int)event.res);
    taken++;
}

int main(void) {
    workload_begin();
    WORKLOAD_CALL(syscall(SYS_io_setup, 20, &context));
    descriptor = WORKLOAD_CALL(open("data", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    WORKLOAD_CHECK(write(descriptor, "0123456789abcdef", sizeof buffer) == sizeof buffer, "write: errno %d", errno);
    volatile struct ring *ring = (volatile struct ring *)(uintptr_t)context;
    for (int index = 0; index < 3; index++) submit();
    workload_ready();
    while (!workload_verify_requested()) {
        submit();
        WORKLOAD_CHECK((ring->tail + ring->capacity - ring->head) % ring->capacity == 4, "%u to %u wait", ring->head, ring->tail);
        WORKLOAD_CHECK(ring->tail == submitted % ring->capacity, "the ring goes on at %u", ring->tail);
        if (workload_break_now()) taken++;
        take();
        workload_progress();
        workload_pause(5);
    }
    while (taken < submitted) take();
    WORKLOAD_CHECK(ring->head == ring->tail, "the ring is not empty");
    WORKLOAD_CALL((int)syscall(SYS_io_destroy, context));
    workload_verified();
}
