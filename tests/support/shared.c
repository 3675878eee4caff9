#include "tests/support/shared.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/load.h"
#include "tests/support/hal.h"

enum { SHARED_BYTES = 64 << 20, ALIGNMENT = 64 };

/* The first device of a backend. */
typedef struct machine {
    bool looked_for;
    pio_device_caps caps;
    pio_device *device; /* NULL: there is none */
    pio_queue *queue;
    pio_kernels *kernels;
    pio_buffer *memory;
    char *host; /* where it is mapped */
} machine;

static machine machines[PIO_BACKEND_COUNT];
static char *shared;
static size_t used;

void *test_shared(size_t bytes) {
    if (!shared) assert_non_null(shared = aligned_alloc(ALIGNMENT, SHARED_BYTES));
    void *at = shared + used;
    used += PIO_ROUND_UP(bytes, (size_t)ALIGNMENT);
    assert_true(used <= SHARED_BYTES);
    return memset(at, 0, bytes);
}

void test_shared_reset(void) {
    used = 0;
}

/* ---- devices ---- */

static const pio_driver *driver_of(pio_backend backend) {
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++)
        if (driver->backend == backend) return driver;
    return NULL;
}

static void open_machine(machine *m, const pio_driver *driver) {
    pio_error error = {0};
    void *host;
    if (pio_device_create(driver, 0, &(pio_driver_options){0}, &m->device, &error) ||
        pio_queue_create(m->device, PIO_QUEUE_COMPUTE, &m->queue, &error) ||
        pio_kernels_create(m->device, &m->kernels, &error) ||
        pio_buffer_create(m->device, SHARED_BYTES, PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK, "shared memory", &m->memory,
                          &error) ||
        pio_buffer_map(m->memory, &host, &error))
        fail_msg("%s", error.text);
    m->host = host;
}

static machine *machine_of(pio_backend backend) {
    machine *m = &machines[backend];
    const pio_driver *driver = driver_of(backend);
    char why[256] = "";
    if (!m->looked_for && driver && driver->count(why, sizeof why) &&
        !driver->describe(0, &m->caps, why, sizeof why, NULL) && !*why && m->caps.computes)
        open_machine(m, driver);
    m->looked_for = true;
    return m;
}

bool test_shared_runs(const pio_row *row) {
    const machine *m = machine_of(row->backend);
    return m->device && !(row->features & ~m->caps.features);
}

int test_shared_close(void **state) {
    (void)state;
    for (machine *m = machines; m < machines + PIO_BACKEND_COUNT; m++) {
        if (m->device) {
            pio_kernels_destroy(m->kernels);
            pio_buffer_destroy(m->memory);
            pio_queue_destroy(m->queue);
            test_hal_check_messages(m->device);
            pio_device_destroy(m->device);
        }
        *m = (machine){0};
    }
    free(shared);
    shared = NULL;
    return 0;
}

/* ---- addresses ---- */

static pio_addr translate(const machine *m, pio_addr host) {
    const pio_addr first = (uintptr_t)shared;
    return host >= first && host < first + SHARED_BYTES ? m->memory->address + (host - first) : host;
}

pio_u64 test_shared_address(const pio_row *row, const void *pointer) {
    const pio_addr host = (uintptr_t)pointer;
    return row && row->backend != PIO_BACKEND_CPU ? translate(machine_of(row->backend), host) : host;
}

static void translate_call(const machine *m, pio_call *call) {
    pio_addr *const parts[] = {&call->step.counts,      &call->step.ids,       &call->step.positions,
                               &call->step.cache_rows,  &call->step.sequences, &call->step.pages,
                               &call->step.out_rows,    &call->step.draws,     &call->step.taps,
                               &call->step.picture_rows};
    for (size_t i = 0; i < PIO_COUNT(parts); i++) *parts[i] = translate(m, *parts[i]);
    for (int i = 0; i < call->n_in + call->n_out; i++) {
        pio_operand *operand = i < call->n_in ? &call->in[i] : &call->out[i - call->n_in];
        operand->address = translate(m, operand->address);
        operand->live = translate(m, operand->live);
    }
}

/* ---- running ---- */

static void submit(const machine *m, const pio_row *row, const pio_call *call) {
    pio_error error = {0};
    pio_list *list;
    uint64_t number;
    if (pio_list_create(m->device, false, &list, &error) || pio_kernels_record(m->kernels, list, row, call, &error) ||
        pio_list_end(list, &error) || pio_queue_submit(m->queue, &list, 1, &number, &error) ||
        pio_queue_wait(m->queue, number, UINT64_MAX, &error))
        fail_msg("%s", error.text);
    pio_list_destroy(list);
}

void test_shared_run(const pio_row *row, const pio_call *call) {
    const machine *m = machine_of(row->backend);
    const size_t bytes = row->scratch ? row->scratch(call) : 0, before = used;
    pio_call there = *call;
    if (bytes) there.scratch = (uintptr_t)memset(test_shared(bytes), 0xff, bytes);
    there.scratch = translate(m, there.scratch);
    translate_call(m, &there);
    memcpy(m->host, shared, used);
    assert_int_equal(pio_buffer_flush(m->memory, 0, SHARED_BYTES, NULL), PIO_OK);
    submit(m, row, &there);
    assert_int_equal(pio_buffer_invalidate(m->memory, 0, SHARED_BYTES, NULL), PIO_OK);
    memcpy(shared, m->host, used);
    used = before;
}
