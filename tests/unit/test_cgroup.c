/* Limits of control groups, read from folders like the kernel's. */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cgroup.h"
#include "base/compiler.h"
#include "tests/support/temp_dir.h"

/* A mount like /sys/fs/cgroup, in a folder of the test's own. */
typedef struct mount {
    char *root;
    pio_cgroup group;
} mount;

static mount mount_make(const char *proc) {
    mount m = {.root = temp_dir_make()};
    assert_true(strlen(m.root) < sizeof m.group.root);
    strcpy(m.group.root, m.root);
    pio_cgroup_parse(proc, &m.group);
    return m;
}

static void make_folder(const mount *m, const char *name) {
    assert_int_equal(mkdir(temp_dir_path(m->root, name), 0700), 0);
}

static void put(const mount *m, const char *name, const char *text) {
    temp_dir_write(m->root, name, text, strlen(text));
}

static void paths_are_found_by_controller(void **state) {
    (void)state;
    pio_cgroup g;
    pio_cgroup_parse("9:name=systemd:/s\n4:memory:/box/a:b\n3:cpuset:/set\n2:cpu,cpuacct:/box/c\n0::/unified\n", &g);
    assert_string_equal(g.path, "/unified");
    assert_string_equal(g.memory_path, "/box/a:b");
    assert_string_equal(g.cpu_path, "/box/c");
    pio_cgroup_parse("0::/\n", &g);
    assert_string_equal(g.path, "");
    assert_string_equal(g.memory_path, "");
    char text[2 * PIO_CGROUP_PATH_BYTES + 8] = "0::/";
    memset(text + 4, 'x', sizeof text - 5);
    pio_cgroup_parse(text, &g);
    assert_string_equal(g.path, "");
    static const char *const odd[] = {"", ":", "::", "0:", "0::", "\n\n", "0::relative", "cpu", "1:cpu", "1:cpu:"};
    for (size_t i = 0; i < PIO_COUNT(odd); i++) {
        pio_cgroup_parse(odd[i], &g);
        assert_true(!g.path[0] && !g.cpu_path[0] && !g.memory_path[0]);
    }
}

static void cpu_quotas_round_up(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int of_8;
    } cases[] = {{"max 100000\n", 8},    {"100000 100000\n", 1},
                 {"150000 100000\n", 2}, {"1000 100000\n", 1},
                 {"800000 100000", 8},   {"1600000 100000", 8},
                 {"200000", 2},          {"", 8},
                 {"-1 100000", 8},       {"0 100000", 8},
                 {"100000 0", 8},        {"350000 50000", 7},
                 {"nonsense words", 8},  {"9223372036854775807 1", 8}};
    mount m = mount_make("0::/\n");
    assert_int_equal(pio_cgroup_cpus(&m.group, 8), 8); /* no file at all */
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        put(&m, "cpu.max", cases[i].text);
        assert_int_equal(pio_cgroup_cpus(&m.group, 8), cases[i].of_8);
        assert_int_equal(pio_cgroup_cpus(&m.group, 1), 1);
    }
    temp_dir_remove(m.root);
}

static void the_tightest_of_the_groups_above_counts(void **state) {
    (void)state;
    mount m = mount_make("0::/outer/inner\n");
    make_folder(&m, "outer");
    put(&m, "outer/cpu.max", "300000 100000");
    assert_int_equal(pio_cgroup_cpus(&m.group, 8), 3); /* "inner" is not mounted here */
    make_folder(&m, "outer/inner");
    put(&m, "outer/inner/cpu.max", "500000 100000");
    assert_int_equal(pio_cgroup_cpus(&m.group, 8), 3);
    put(&m, "outer/inner/cpu.max", "200000 100000");
    assert_int_equal(pio_cgroup_cpus(&m.group, 8), 2);
    temp_dir_remove(m.root);
}

static void version_1_has_folders_a_controller(void **state) {
    (void)state;
    mount m = mount_make("4:memory:/box\n1:cpu,cpuacct:/box\n");
    uint64_t total = 1000000, available = 900000;
    make_folder(&m, "cpu");
    make_folder(&m, "cpu/box");
    make_folder(&m, "memory");
    make_folder(&m, "memory/box");
    put(&m, "cpu/cpu.cfs_quota_us", "-1\n");
    put(&m, "cpu/box/cpu.cfs_quota_us", "250000\n");
    put(&m, "cpu/box/cpu.cfs_period_us", "50000\n");
    assert_int_equal(pio_cgroup_cpus(&m.group, 8), 5);
    put(&m, "memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(&m, "memory/memory.usage_in_bytes", "5000000\n");
    pio_cgroup_memory(&m.group, &total, &available);
    assert_int_equal(total, 1000000);
    assert_int_equal(available, 900000);
    put(&m, "memory/box/memory.limit_in_bytes", "500000\n");
    put(&m, "memory/box/memory.usage_in_bytes", "300000\n");
    put(&m, "memory/box/memory.stat",
        "cache 7\ninactive_file 1\nactive_file 1\ntotal_inactive_file 40000\ntotal_active_file 2000\n");
    pio_cgroup_memory(&m.group, &total, &available);
    assert_int_equal(total, 500000);
    assert_int_equal(available, 500000 - 300000 + 42000);
    temp_dir_remove(m.root);
}

static void cached_files_are_free_memory(void **state) {
    (void)state;
    mount m = mount_make("0::/box\n");
    make_folder(&m, "box");
    uint64_t total = 1000000, available = 900000;
    pio_cgroup_memory(&m.group, &total, &available);
    assert_true(total == 1000000 && available == 900000);
    put(&m, "box/memory.max", "max\n");
    put(&m, "box/memory.current", "800000\n");
    pio_cgroup_memory(&m.group, &total, &available);
    assert_true(total == 1000000 && available == 900000);
    put(&m, "box/memory.max", "700000\n");
    put(&m, "box/memory.current", "650000\n");
    put(&m, "box/memory.stat", "anon 350000\nfile 300000\ninactive_file 100000\nactive_file 200000\nslab 1\n");
    pio_cgroup_memory(&m.group, &total, &available);
    assert_int_equal(total, 700000);
    assert_int_equal(available, 350000);
    put(&m, "box/memory.current", "1200000\n"); /* over the limit: nothing is left */
    pio_cgroup_memory(&m.group, &total, &available);
    assert_int_equal(available, 0);
    available = 900000;
    put(&m, "box/memory.current", "200000\n"); /* read after the statistics, and less */
    pio_cgroup_memory(&m.group, &total, &available);
    assert_int_equal(available, 700000);
    temp_dir_remove(m.root);
}

static void this_process_has_a_group(void **state) {
    (void)state;
    pio_cgroup g;
    uint64_t total = UINT64_MAX, available = UINT64_MAX;
    pio_cgroup_self(&g);
    assert_in_range(pio_cgroup_cpus(&g, 4), 1, 4);
    pio_cgroup_memory(&g, &total, &available);
    assert_true(available <= total || total == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_found_by_controller),
        cmocka_unit_test(cpu_quotas_round_up),
        cmocka_unit_test(the_tightest_of_the_groups_above_counts),
        cmocka_unit_test(version_1_has_folders_a_controller),
        cmocka_unit_test(cached_files_are_free_memory),
        cmocka_unit_test(this_process_has_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
