/* What goes wrong below the Vulkan driver is one clear sentence each time, and nothing stays behind. */
#include "tests/support/test.h"

#include <string.h>

#include "engine/device.h"
#include "tests/support/hal.h"
#include "tests/vulkan_faults/vulkan_faults.h"

static const pio_driver *vulkan_driver(void) {
    const pio_driver *driver;
    for (int i = 0; (driver = pio_driver_at(i)); i++)
        if (driver->backend == PIO_BACKEND_VULKAN) return driver;
    fail_msg("this build has no Vulkan backend");
    return NULL;
}

static void expect_sentence(const char *text) {
    if (strlen(text) < 20 || strchr(text, '\n')) fail_msg("no sentence: '%s'", text);
}

/* ---- what a device may lack ---- */

static void what_a_device_lacks_is_named_with_the_cure(void **state) {
    (void)state;
    static const struct {
        const char *orders, *named, *cure;
    } cases[] = {
        {"no_feature=shaderInt64", "shaderInt64", "install"},
        {"no_feature=shaderInt16", "shaderInt16", "install"},
        {"no_feature=storageBuffer16BitAccess", "storageBuffer16BitAccess", "install"},
        {"no_feature=storageBuffer8BitAccess", "storageBuffer8BitAccess", "install"},
        {"no_feature=shaderInt8", "shaderInt8", "install"},
        {"no_feature=scalarBlockLayout", "scalarBlockLayout", "install"},
        {"no_feature=bufferDeviceAddress", "bufferDeviceAddress", "install"},
        {"no_feature=timelineSemaphore", "timelineSemaphore", "install"},
        {"version=1.1", "Vulkan 1.1 and 1.2 is needed", "install Mesa"},
        {"no_subgroups", "exchanges over subgroups", "install"},
        {"no_compute", "no queue that computes", "choose another"},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        char why[256] = "";
        pio_device_caps caps;
        pio_device *device;
        pio_error error = {0};
        vulkan_faults_order(cases[i].orders);
        assert_true(vulkan_driver()->count(why, sizeof why) > 0);
        assert_int_equal(vulkan_driver()->describe(0, &caps, why, sizeof why, &error), PIO_OK);
        expect_sentence(why);
        if (!strstr(why, cases[i].named) || !strstr(why, cases[i].cure)) fail_msg("%s: %s", cases[i].orders, why);
        assert_int_equal(pio_device_create(vulkan_driver(), 0, &(pio_driver_options){0}, &device, &error),
                         PIO_UNSUPPORTED);
        assert_null(device);
        if (!strstr(error.text, cases[i].named)) fail_msg("%s: %s", cases[i].orders, error.text);
        assert_int_equal(vulkan_faults_live(), 0);
    }
}

static void missing_functions_are_named(void **state) {
    (void)state;
    static const char *const names[] = {"vkGetBufferDeviceAddress", "vkWaitSemaphores", "vkDestroyDevice"};
    for (size_t i = 0; i < PIO_COUNT(names); i++) {
        char orders[64];
        pio_device *device;
        pio_error error = {0};
        snprintf(orders, sizeof orders, "no_function=%s", names[i]);
        vulkan_faults_order(orders);
        assert_int_equal(pio_device_create(vulkan_driver(), 0, &(pio_driver_options){0}, &device, &error),
                         PIO_UNSUPPORTED);
        assert_non_null(strstr(error.text, names[i]));
        if (i < 2) assert_int_equal(vulkan_faults_live(), 0); /* nothing destroys what cannot be destroyed */
    }
}

/* ---- a little of everything that a driver does ---- */

/* A lost device stays lost, whatever is asked of it. */
static void expect_lost(pio_device *device, pio_queue *queue) {
    pio_error error = {0};
    pio_memory_budget budget;
    pio_buffer *buffer;
    pio_queue *another;
    pio_list *list;
    uint64_t number;
    assert_int_equal(pio_device_status(device, &error), PIO_DEVICE_LOST);
    expect_sentence(error.text);
    assert_int_equal(pio_device_memory_budget(device, &budget, &error), PIO_DEVICE_LOST);
    assert_int_equal(pio_buffer_create(device, 64, PIO_BUFFER_DEVICE, "late", &buffer, &error), PIO_DEVICE_LOST);
    assert_int_equal(pio_list_create(device, false, &list, &error), PIO_DEVICE_LOST);
    assert_int_equal(pio_queue_create(device, PIO_QUEUE_COMPUTE, &another, &error), PIO_DEVICE_LOST);
    if (!queue) return;
    assert_int_equal(pio_queue_write(queue, 64, "late", 4, &error), PIO_DEVICE_LOST);
    assert_int_equal(pio_queue_wait(queue, 1, 1, &error), PIO_DEVICE_LOST);
    assert_int_equal(pio_queue_elapsed(queue, 1, &number, &error), PIO_DEVICE_LOST);
}

typedef struct scene {
    pio_device *device;
    pio_buffer *buffers[3];
    pio_module *module;
    pio_list *list;
    pio_queue *queue;
} scene;

static pio_status make_module(scene *s, pio_error *error) {
    extern const pio_code pio_spv_test_reverse;
    const pio_kernel_desc kernel = {.name = "reverse",
                                    .code = &pio_spv_test_reverse,
                                    .entry = "main",
                                    .group = {1, 1, 1},
                                    .args_bytes = sizeof(test_reverse_args)};
    return pio_module_create(s->device, &(pio_module_desc){"test", &kernel, 1}, &s->module, error);
}

static pio_status record(scene *s, pio_error *error) {
    const pio_addr from = s->buffers[0]->address, to = s->buffers[1]->address, back = s->buffers[2]->address;
    const test_reverse_args args = {.to = to, .from = from, .n = 64, .value = 1};
    const uint32_t one[] = {1, 1, 1};
    pio_status status = pio_list_create(s->device, true, &s->list, error);
    if (!status) status = pio_list_fill(s->list, to, 7, 256, error);
    if (!status) status = pio_list_barrier(s->list, error);
    if (!status) status = pio_list_dispatch(s->list, pio_module_kernel(s->module, 0), one, &args, sizeof args, error);
    if (!status) status = pio_list_barrier(s->list, error);
    if (!status) status = pio_list_copy(s->list, back, to, 256, error);
    return status ? status : pio_list_end(s->list, error);
}

/* Ordered writes that fill the ring, so that it is drained, too. */
static pio_status run(scene *s, pio_error *error) {
    static char data[64 << 10];
    uint64_t number = 0;
    pio_status status = pio_queue_create(s->device, PIO_QUEUE_COMPUTE, &s->queue, error);
    for (int i = 0; i < 70 && !status; i++)
        status = pio_queue_write(s->queue, s->buffers[0]->address, data, sizeof data, error);
    for (int i = 0; i < 10 && !status; i++) { /* more than may be under way */
        status = pio_queue_write(s->queue, s->buffers[0]->address, data, 256, error);
        if (!status) status = pio_queue_submit(s->queue, &s->list, 1, &number, error);
    }
    if (!status) status = pio_queue_wait(s->queue, number, UINT64_MAX, error);
    return status ? status : pio_queue_elapsed(s->queue, number, &number, error);
}

static pio_status play(pio_error *error) {
    static const uint32_t usages[] = {PIO_BUFFER_DEVICE, PIO_BUFFER_DEVICE, PIO_BUFFER_READBACK};
    scene s = {NULL};
    void *host;
    pio_status status = pio_device_create(vulkan_driver(), 0, &(pio_driver_options){0}, &s.device, error);
    for (int i = 0; i < 3 && !status; i++)
        status = pio_buffer_create(s.device, 64 << 10, usages[i], "test buffer", &s.buffers[i], error);
    if (!status) status = make_module(&s, error);
    if (!status) status = record(&s, error);
    if (!status) status = run(&s, error);
    if (!status) status = pio_buffer_map(s.buffers[2], &host, error);
    if (!status) status = pio_buffer_invalidate(s.buffers[2], 0, 256, error);
    if (!status) assert_int_equal(((const uint32_t *)host)[63], 1); /* the last of 64 zeros, plus 1 */
    if (status == PIO_DEVICE_LOST && s.device) expect_lost(s.device, s.queue);
    pio_queue_destroy(s.queue);
    pio_list_destroy(s.list);
    pio_module_destroy(s.module);
    for (int i = 0; i < 3; i++) pio_buffer_destroy(s.buffers[i]);
    pio_device_destroy(s.device);
    return status;
}

/* Lets every call of a kind fail in its turn. The last wait is that of destroying the queue, which tells nobody. */
static void walk(vulkan_faults_kind kind, const char *orders, pio_status expected) {
    pio_error error = {0};
    vulkan_faults_order("");
    if (play(&error)) fail_msg("%s", error.text);
    const long n = vulkan_faults_count(kind);
    assert_true(n > 2);
    assert_int_equal(vulkan_faults_live(), 0);
    for (long i = 0; i < n; i++) {
        char text[64];
        error.text[0] = 0;
        snprintf(text, sizeof text, orders, i);
        vulkan_faults_order(text);
        const pio_status status = play(&error);
        const bool untold = kind == VULKAN_FAULTS_WAIT && i == n - 1;
        if (status != (untold ? PIO_OK : expected)) fail_msg("%s: status %d, '%s'", text, (int)status, error.text);
        if (status) expect_sentence(error.text);
        if (vulkan_faults_live()) fail_msg("%s: %ld objects are left", text, vulkan_faults_live());
    }
    print_message("%ld calls\n", n);
}

static void memory_runs_out_at_every_place(void **state) {
    (void)state;
    walk(VULKAN_FAULTS_MAKE, "make=%ld", PIO_OUT_OF_MEMORY);
    walk(VULKAN_FAULTS_MAKE, "make=%ld result=-1", PIO_OUT_OF_MEMORY); /* of the host */
}

static void anything_fails_at_every_place(void **state) {
    (void)state;
    walk(VULKAN_FAULTS_MAKE, "make=%ld result=-3", PIO_INTERNAL);
    walk(VULKAN_FAULTS_MAKE, "make=%ld result=-4", PIO_DEVICE_LOST);
}

static void the_device_is_lost_at_every_submit(void **state) {
    (void)state;
    walk(VULKAN_FAULTS_SUBMIT, "submit=%ld", PIO_DEVICE_LOST);
}

static void the_device_is_lost_at_every_wait(void **state) {
    (void)state;
    walk(VULKAN_FAULTS_WAIT, "wait=%ld", PIO_DEVICE_LOST);
}

#ifndef __SANITIZE_ADDRESS__ /* what a device that hangs was given is never freed, and found to be lost */
static void a_device_that_hangs_is_lost(void **state) {
    (void)state;
    pio_error error = {0};
    vulkan_faults_order("devices=discrete");
    if (play(&error)) fail_msg("%s", error.text);
    const long n = vulkan_faults_count(VULKAN_FAULTS_WAIT);
    assert_true(n > 3);
    for (long i = 0; i < n - 1; i++) { /* the last wait is that of destroying the queue, which tells nobody */
        char orders[64];
        snprintf(orders, sizeof orders, "devices=discrete hang=%ld", i);
        vulkan_faults_order(orders);
        assert_int_equal(play(&error), PIO_DEVICE_LOST);
        expect_sentence(error.text);
        if (!strstr(error.text, "has finished nothing for 120 s")) fail_msg("%s: %s", orders, error.text);
    }
}
#endif

/* What a device may lack without harm. */
static void extensions_that_are_missing_do_no_harm(void **state) {
    (void)state;
    static const char *const names[] = {"VK_EXT_memory_budget", "VK_EXT_pci_bus_info",
                                        "VK_KHR_shader_integer_dot_product", "VK_EXT_subgroup_size_control"};
    for (size_t i = 0; i < PIO_COUNT(names); i++) {
        char orders[64];
        pio_error error = {0};
        snprintf(orders, sizeof orders, "no_extension=%s", names[i]);
        vulkan_faults_order(orders);
        if (play(&error)) fail_msg("%s: %s", names[i], error.text);
        assert_int_equal(vulkan_faults_live(), 0);
    }
}

/* ---- which device is taken ---- */

static void expect_choice(const char *orders, int backend, int device, const char *taken, const char *said) {
    const pio_engine_options options = {.backend = backend, .device = device, .n_threads = 1};
    pio_chosen_device chosen;
    pio_error error = {0};
    char line[1600], begins[32];
    vulkan_faults_order(orders);
    if (pio_choose_device(&options, &chosen, &error)) fail_msg("%s: %s", orders, error.text);
    pio_chosen_show(&chosen, line, sizeof line);
    pio_device_destroy(chosen.device);
    snprintf(begins, sizeof begins, "%s ", taken);
    if (strncmp(line, begins, strlen(begins)) || (said && !strstr(line, said))) fail_msg("%s: %s", orders, line);
    if (!said && strstr(line, "; not ")) fail_msg("%s: %s", orders, line);
    assert_int_equal(vulkan_faults_live(), 0);
}

static void the_best_device_is_taken(void **state) {
    (void)state;
    const int any = PIO_AUTO, vulkan = PIO_BACKEND_VULKAN;
    expect_choice("devices=discrete", any, PIO_AUTO, "vulkan:0", NULL);
    expect_choice("devices=software,integrated,discrete", any, PIO_AUTO, "vulkan:2", NULL);
    expect_choice("devices=virtual,integrated", any, PIO_AUTO, "vulkan:1", NULL);
    expect_choice("devices=other,virtual,software", any, PIO_AUTO, "vulkan:1", NULL);
    expect_choice("devices=discrete,discrete", any, PIO_AUTO, "vulkan:0", NULL);
    expect_choice("devices=software", any, PIO_AUTO, "cpu:0", NULL);
    expect_choice("devices=none", any, PIO_AUTO, "cpu:0", "; not vulkan: the Vulkan loader knows no device");
    /* Drivers are not asked where there is nothing for them, unless an index or a backend is named. */
    expect_choice("devices=discrete no_nodes", any, PIO_AUTO, "cpu:0", NULL);
    expect_choice("devices=discrete no_nodes", any, 0, "vulkan:0", NULL);
    expect_choice("devices=discrete no_nodes", vulkan, PIO_AUTO, "vulkan:0", NULL);
    expect_choice("devices=software,software", any, 1, "vulkan:1", NULL);
    expect_choice("devices=software", any, 0, "cpu:0", NULL);
    expect_choice("devices=software,discrete", vulkan, PIO_AUTO, "vulkan:1", NULL);
    expect_choice("devices=software,discrete", vulkan, 0, "vulkan:0", NULL);
    expect_choice("devices=software", vulkan, PIO_AUTO, "vulkan:0", NULL);
    expect_choice("devices=discrete version=1.1", any, PIO_AUTO, "cpu:0", "Vulkan 1.1 and 1.2 is needed: install");
    expect_choice("devices=discrete no_compute", any, PIO_AUTO, "cpu:0", "; not vulkan:0 llvmpipe");
    expect_choice("devices=discrete make=0", any, PIO_AUTO, "cpu:0", "opening the device failed");
    expect_choice("devices=discrete,integrated make=0", any, PIO_AUTO, "vulkan:1", "; not vulkan:0 llvmpipe");
}

/* A named backend is taken or refused. */
static void a_named_backend_is_never_replaced(void **state) {
    (void)state;
    static const struct {
        const char *orders;
        int device;
        pio_status status;
        const char *said;
    } cases[] = {
        {"devices=none", PIO_AUTO, PIO_UNSUPPORTED, "mesa-vulkan-drivers"},
        {"devices=discrete no_compute", PIO_AUTO, PIO_UNSUPPORTED, "no queue that computes"},
        {"devices=discrete version=1.0", 0, PIO_UNSUPPORTED, "device 0 of the vulkan backend cannot be used"},
        {"devices=discrete", 1, PIO_INVALID_ARGUMENT, "no device 1"},
        {"devices=discrete,integrated make=0", PIO_AUTO, PIO_OUT_OF_MEMORY, "out of device memory"},
    };
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        const pio_engine_options options = {.backend = PIO_BACKEND_VULKAN, .device = cases[i].device};
        pio_chosen_device chosen;
        pio_error error = {0};
        vulkan_faults_order(cases[i].orders);
        assert_int_equal(pio_choose_device(&options, &chosen, &error), cases[i].status);
        assert_null(chosen.device);
        expect_sentence(error.text);
        if (!strstr(error.text, cases[i].said)) fail_msg("%s: %s", cases[i].orders, error.text);
    }
}

/* The same card through two drivers is one card. */
static void a_card_counts_once(void **state) {
    (void)state;
    vulkan_faults_order("devices=integrated,integrated,software card=3");
    pio_candidates *list = pio_list_candidates(PIO_BACKEND_VULKAN);
    char text[256];
    assert_non_null(list);
    assert_int_equal(list->n, 3);
    assert_int_equal(list->items[0].index, 0);
    assert_false(list->items[0].is_known);
    assert_true(list->items[1].is_known && list->items[1].twin_index == 0);
    pio_candidate_say(&list->items[1], &list->items[0], text, sizeof text);
    assert_string_equal(text, "the same card as vulkan:0, which is taken before it");
    free(list);
    vulkan_faults_order("devices=discrete,discrete"); /* without the extension nobody knows */
    list = pio_list_candidates(PIO_BACKEND_VULKAN);
    assert_false(list->items[1].is_known);
    pio_candidate_say(&list->items[1], &list->items[0], text, sizeof text);
    assert_non_null(strstr(text, "vulkan:0 is of the same kind"));
    free(list);
    /* a card whose first driver cannot be used is used through the second */
    expect_choice("devices=discrete,discrete card=3 make=0", PIO_AUTO, PIO_AUTO, "vulkan:1",
                  "opening the device failed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_device_lacks_is_named_with_the_cure),
        cmocka_unit_test(memory_runs_out_at_every_place),
        cmocka_unit_test(anything_fails_at_every_place),
        cmocka_unit_test(the_device_is_lost_at_every_submit),
        cmocka_unit_test(the_device_is_lost_at_every_wait),
        cmocka_unit_test(extensions_that_are_missing_do_no_harm),
        cmocka_unit_test(the_best_device_is_taken),
        cmocka_unit_test(a_named_backend_is_never_replaced),
        cmocka_unit_test(a_card_counts_once),
        cmocka_unit_test(missing_functions_are_named),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(a_device_that_hangs_is_lost), /* the last, for it leaves objects behind */
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
