/* Every row of the build on every case of its op, against the op's reference. A row that this machine lacks the
 * device or the instructions for is skipped by name; a row that no case reaches fails. test_kernels NAME tries
 * the rows whose name has NAME in it, test_kernels -NAME the others; with N behind it a row gets one in N of its cases,
 * and at least one; with M behind that, one in M of the rows is tried.
 */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "hal/hal.h"
#include "kernels/case.h"
#include "tests/support/hal.h"
#include "tests/support/random.h"

enum { MOST_FIRST = 12 }; /* the first case of a share is one of so many, which most ops have */

static const char *only = "";
static int one_of = 1, one_row_of = 1; /* cases, and rows that are tried at all: the seed says which */

static bool is_asked_for(const char *name) {
    return *only == '-' ? !strstr(name, only + 1) : strstr(name, only) != NULL;
}

/* The first device of each backend that this machine has. */
typedef struct machine {
    bool present;
    uint32_t features;
    pio_case_device device; /* unused on the CPU, where cases run by themselves */
} machine;

static void open_device(const pio_driver *driver, machine *m) {
    pio_error error = {0};
    if (pio_device_create(driver, 0, &(pio_driver_options){0}, &m->device.device, &error) ||
        pio_queue_create(m->device.device, PIO_QUEUE_COMPUTE, &m->device.queue, &error) ||
        pio_kernels_create(m->device.device, &m->device.kernels, &error))
        fail_msg("%s", error.text);
}

static void find_machines(machine machines[PIO_BACKEND_COUNT]) {
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++) {
        machine *m = &machines[driver->backend];
        pio_device_caps caps;
        char why[256] = "";
        if (!driver->count(why, sizeof why) || driver->describe(0, &caps, why, sizeof why, NULL) || *why) {
            print_message("no %s device here: %s\n", pio_backend_name(driver->backend), why);
            continue;
        }
        m->present = caps.computes;
        m->features = caps.features;
        if (m->present && driver->backend != PIO_BACKEND_CPU) open_device(driver, m);
    }
}

static void close_machines(machine machines[PIO_BACKEND_COUNT]) {
    for (int i = 0; i < PIO_BACKEND_COUNT; i++) {
        if (!machines[i].device.device) continue;
        pio_kernels_destroy(machines[i].device.kernels);
        pio_queue_destroy(machines[i].device.queue);
        test_hal_check_messages(machines[i].device.device);
        pio_device_destroy(machines[i].device.device);
    }
}

/* Runs one case in all variants; returns how many were served, and counts the failures. */
static int try_case(const pio_row *row, const machine *m, int index, uint64_t seed, int *n_failed, bool *found) {
    const pio_case_device *device = m->device.device ? &m->device : NULL;
    static const int workers[] = {1, 2, 5};
    int served = 0;
    char name[PIO_ROW_NAME_BYTES];
    for (int encoding = 0; encoding < PIO_ENC_COUNT; encoding++) {
        if (encoding && !(row->out_encodings & 1u << encoding)) continue;
        /* A device's workers are multiprocessors, which size its grids alone: one number of them will do. */
        for (size_t w = device || TEST_SANITIZED ? PIO_COUNT(workers) - 1 : 0; w < PIO_COUNT(workers); w++) {
            pio_case_result result;
            pio_error error = {0};
            pio_status status =
                pio_case_run(row, device, index, seed, workers[w], (pio_encoding)encoding, &result, &error);
            *found = status != PIO_NOT_FOUND;
            if (!*found) return 0;
            if (status) fail_msg("%s", error.text);
            served += result.outcome != PIO_CASE_NOT_SERVED;
            if (result.outcome != PIO_CASE_FAILED) continue;
            print_error("%s, case %d (%s), %d workers, out %s: %s\n", pio_row_name(row, name), index, result.name,
                        workers[w], pio_encoding_name((pio_encoding)encoding), result.text);
            ++*n_failed;
        }
    }
    return served;
}

/* How many cases, of those from `first` on and then of those before it, were served until one was. */
static int try_until_served(const pio_row *row, const machine *m, int first, uint64_t seed, int *n_failed) {
    int served = 0;
    bool found = true;
    for (int index = first; found && !served; index++)
        served = try_case(row, m, index, seed + (uint64_t)index, n_failed, &found);
    found = true;
    for (int index = 0; index < first && found && !served; index++)
        served = try_case(row, m, index, seed + (uint64_t)index, n_failed, &found);
    return served;
}

static void every_row_agrees_with_its_reference(void **state) {
    (void)state;
    int n_rows, n_failed = 0, n_tried = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    machine machines[PIO_BACKEND_COUNT] = {0};
    test_random random = test_random_begin("kernels");
    const uint64_t seed = test_random_u64(&random);
    find_machines(machines);
    for (int i = 0; i < n_rows; i++) {
        char name[PIO_ROW_NAME_BYTES];
        pio_row_name(rows[i], name);
        const machine *m = &machines[rows[i]->backend];
        if (!is_asked_for(name) || ((uint64_t)i + seed) % (uint64_t)one_row_of) continue;
        if (!m->present || (rows[i]->features & m->features) != rows[i]->features) {
            print_message("skipped: %s (this machine lacks what it requires)\n", name);
            continue;
        }
        const int first = (int)(seed % (uint64_t)PIO_MIN(one_of, MOST_FIRST));
        int served = 0;
        bool found = true;
        for (int index = first; found; index += one_of)
            served += try_case(rows[i], m, index, seed + (uint64_t)index, &n_failed, &found);
        if (!served) served = try_until_served(rows[i], m, first, seed, &n_failed);
        if (!served) {
            print_error("%s: no case reaches it\n", name);
            n_failed++;
        }
        n_tried++;
    }
    close_machines(machines);
    print_message("%d rows tried\n", n_tried);
    assert_true(n_tried > 0);
    assert_int_equal(n_failed, 0);
}

int main(int argc, char **argv) {
    if (argc > 1) only = argv[1];
    if (argc > 2) one_of = PIO_MAX(1, atoi(argv[2]));
    if (argc > 3) one_row_of = PIO_MAX(1, atoi(argv[3]));
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_row_agrees_with_its_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
