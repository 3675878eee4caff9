#include "base/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

enum { FILE_BYTES = PIO_CGROUP_PATH_BYTES + 192 };

/* ---- where ---- */

/* Whether `controller` is one of the comma-separated `names`. */
static bool names_controller(const char *names, size_t bytes, const char *controller) {
    const size_t n = strlen(controller);
    for (const char *at = names, *end = names + bytes; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t length = (size_t)((comma ? comma : end) - at);
        if (length == n && !memcmp(at, controller, n)) return true;
        at += length + 1;
    }
    return false;
}

/* The root's path is "", so that every path starts with a slash or is empty. A path that does not fit is the root's. */
static void set_path(char *path, const char *from, size_t bytes) {
    path[0] = 0;
    if (bytes >= PIO_CGROUP_PATH_BYTES || (bytes == 1 && from[0] == '/')) return;
    memcpy(path, from, bytes);
    path[bytes] = 0;
}

/* Each line is "id:controllers:path"; version 2's names no controllers. */
void pio_cgroup_parse(const char *text, pio_cgroup *group) {
    group->path[0] = group->cpu_path[0] = group->memory_path[0] = 0;
    for (const char *line = text; *line;) {
        size_t bytes = strcspn(line, "\n"), id = strcspn(line, ":\n");
        const char *names = line + id + (id < bytes);
        size_t n = strcspn(names, ":\n");
        const char *path = names + n + (names + n < line + bytes);
        size_t path_bytes = (size_t)(line + bytes - path);
        if (path_bytes && path[0] == '/') {
            if (n == 0) set_path(group->path, path, path_bytes);
            if (names_controller(names, n, "cpu")) set_path(group->cpu_path, path, path_bytes);
            if (names_controller(names, n, "memory")) set_path(group->memory_path, path, path_bytes);
        }
        line += bytes + (line[bytes] == '\n');
    }
}

void pio_cgroup_self(pio_cgroup *group) {
    char text[8192] = "";
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
    }
    snprintf(group->root, sizeof group->root, "/sys/fs/cgroup");
    pio_cgroup_parse(text, group);
}

/* ---- limits ---- */

/* Opens root/controller/path/name. */
static FILE *open_file(const pio_cgroup *group, const char *controller, const char *path, const char *name) {
    char full[FILE_BYTES];
    snprintf(full, sizeof full, "%s%s%s/%s", group->root, controller, path, name);
    return fopen(full, "r");
}

/* The first number of a file, or `otherwise`, as for the word "max". */
static int64_t read_number(const pio_cgroup *group, const char *controller, const char *path, const char *name,
                           int64_t otherwise) {
    FILE *file = open_file(group, controller, path, name);
    long long value;
    if (!file) return otherwise;
    if (fscanf(file, "%lld", &value) != 1) value = otherwise;
    fclose(file);
    return value;
}

/* Cuts the last name off a path; false where none is left. */
static bool go_up(char *path) {
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
    return slash != NULL;
}

static int granted(int64_t quota_us, int64_t period_us, int n) {
    if (quota_us <= 0 || period_us <= 0) return n;
    int64_t cpus = quota_us / period_us + (quota_us % period_us != 0);
    return (int)PIO_MIN(cpus, (int64_t)n);
}

int pio_cgroup_cpus(const pio_cgroup *group, int n) {
    char path[PIO_CGROUP_PATH_BYTES];
    memcpy(path, group->path, sizeof path);
    do {
        long long quota = -1, period = 100000;
        FILE *file = open_file(group, "", path, "cpu.max");
        if (!file) continue;
        if (fscanf(file, "%lld %lld", &quota, &period) < 1) quota = -1; /* "max": none */
        fclose(file);
        n = granted(quota, period, n);
    } while (go_up(path));
    memcpy(path, group->cpu_path, sizeof path);
    do {
        int64_t quota = read_number(group, "/cpu", path, "cpu.cfs_quota_us", -1);
        n = granted(quota, read_number(group, "/cpu", path, "cpu.cfs_period_us", 100000), n);
    } while (go_up(path));
    return n;
}

/* Bytes of files that the group's memory caches. */
static uint64_t cached_files(const pio_cgroup *group, const char *controller, const char *path, const char *prefix) {
    FILE *file = open_file(group, controller, path, "memory.stat");
    char line[128];
    uint64_t sum = 0;
    const size_t n = strlen(prefix);
    while (file && fgets(line, sizeof line, file)) {
        unsigned long long bytes;
        const char *key = line + n;
        if (strncmp(line, prefix, n)) continue;
        if (sscanf(key, "inactive_file %llu", &bytes) == 1 || sscanf(key, "active_file %llu", &bytes) == 1)
            sum += bytes;
    }
    if (file) fclose(file);
    return sum;
}

/* Takes one group's limit and use into account. */
static void lower(int64_t limit, int64_t used, uint64_t cached, uint64_t *total, uint64_t *available) {
    if (limit < 0) return;
    uint64_t held = used < 0 ? 0 : (uint64_t)used > cached ? (uint64_t)used - cached : 0;
    *total = PIO_MIN(*total, (uint64_t)limit);
    *available = PIO_MIN(*available, (uint64_t)limit > held ? (uint64_t)limit - held : 0);
}

void pio_cgroup_memory(const pio_cgroup *group, uint64_t *total, uint64_t *available) {
    char path[PIO_CGROUP_PATH_BYTES];
    memcpy(path, group->path, sizeof path);
    do {
        int64_t limit = read_number(group, "", path, "memory.max", -1);
        lower(limit, read_number(group, "", path, "memory.current", 0), cached_files(group, "", path, ""), total,
              available);
    } while (go_up(path));
    memcpy(path, group->memory_path, sizeof path);
    do {
        int64_t limit = read_number(group, "/memory", path, "memory.limit_in_bytes", -1);
        lower(limit, read_number(group, "/memory", path, "memory.usage_in_bytes", 0),
              cached_files(group, "/memory", path, "total_"), total, available);
    } while (go_up(path));
}
