/* Checks of the hardware layer, written once and run on every device of every driver of the build. */
#ifndef PIO_TESTS_HAL_H
#define PIO_TESTS_HAL_H

#include "hal/hal.h"
#include "tests/support/random.h"

/* A device under test, with a queue of its own. */
typedef struct test_device {
    const pio_driver *driver;
    int index;
    pio_device *device;
    pio_device_caps caps;
    pio_queue *queue;
    test_random random;
} test_device;

typedef struct test_check {
    const char *name;
    void (*run)(test_device *t);
    bool computes; /* it runs kernels: skipped, by name, where the device runs none */
} test_check;

/* Runs all checks on all devices, a fresh one each, and returns the exit code. Devices that this machine cannot use are
 * named and left out. */
int test_hal_run(const test_check *checks, int n_checks);

/* Fails where the device's runtime has found fault with how it was used. */
void test_hal_check_messages(pio_device *device);

/* A second device like t's. */
pio_device *test_hal_open(const test_device *t, const pio_driver_options *options);

/* Buffers and transfers through whatever this device offers; all of them assert. */
pio_buffer *test_hal_buffer(test_device *t, uint64_t bytes, uint32_t usage);
void test_hal_upload(test_device *t, pio_addr to, const void *data, uint64_t bytes);
void test_hal_download(test_device *t, pio_addr from, void *data, uint64_t bytes);

/* Ends the list, submits it, waits and returns its number. */
uint64_t test_hal_submit(test_device *t, pio_list *list);

/* Fresh random bytes; free() them. */
unsigned char *test_hal_bytes(test_device *t, size_t bytes);

/* The kernels of these checks: to[i] = from[n - 1 - i] + value for i in 0 .. n-1, and *to += value for each worker. */
typedef struct test_reverse_args {
    uint64_t to, from;
    uint32_t n, value;
} test_reverse_args;

typedef struct test_count_args {
    uint64_t to;
    uint32_t value, n_tiles;
} test_count_args;

enum { TEST_KERNEL_REVERSE, TEST_KERNEL_COUNT, TEST_N_KERNELS };
pio_module *test_hal_module(test_device *t);

#endif
