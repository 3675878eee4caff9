/* What the control group of this process may use (Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/): its
 * own limits and those of the groups above it, as far as they are mounted. */
#ifndef PIO_BASE_CGROUP_H
#define PIO_BASE_CGROUP_H

#include <stdint.h>

enum { PIO_CGROUP_PATH_BYTES = 512 };

/* Where the groups are: "<root><path>" in version 2, "<root>/cpu<path>" and "<root>/memory<path>" in version 1. */
typedef struct pio_cgroup {
    char root[64];
    char path[PIO_CGROUP_PATH_BYTES], cpu_path[PIO_CGROUP_PATH_BYTES], memory_path[PIO_CGROUP_PATH_BYTES];
} pio_cgroup;

/* The group of this process. */
void pio_cgroup_self(pio_cgroup *group);

/* The paths in the text of /proc/<pid>/cgroup; those that it does not name are the root's, "". */
void pio_cgroup_parse(const char *text, pio_cgroup *group);

/* n, or fewer where the groups grant less CPUs' worth of time; a part of one counts as one. */
int pio_cgroup_cpus(const pio_cgroup *group, int n);

/* Lowers *total to the least memory limit, and *available to what that limit leaves. What the kernel would give back
 * under pressure, cached files, does not count as used. */
void pio_cgroup_memory(const pio_cgroup *group, uint64_t *total, uint64_t *available);

#endif
