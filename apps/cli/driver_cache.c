/* The cache that Mesa's Vulkan drivers keep beside ours. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "apps/cli/cli.h"

/* Far more than the kernels of a model take. */
static const unsigned long long LEAST_BYTES = 32ull << 20;

/* Where Mesa looks (its docs/envvars.rst); false: nowhere that could be told. */
static bool find_cache(char *path, size_t bytes) {
    const char *own = getenv("MESA_SHADER_CACHE_DIR"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own) return snprintf(path, bytes, "%s", own) < (int)bytes;
    if (cache) return snprintf(path, bytes, "%s", cache) < (int)bytes;
    return home && *home && snprintf(path, bytes, "%s/.cache", home) < (int)bytes;
}

/* Whether files can be made there and have room. Mesa makes the last folder of the path where it is missing. */
static bool is_usable(char *path) {
    struct statvfs file_system;
    if (access(path, F_OK) && errno == ENOENT) {
        char *last = strrchr(path, '/');
        if (!last || last == path) return false;
        *last = 0;
    }
    if (access(path, W_OK | X_OK) || statvfs(path, &file_system)) return false;
    return (unsigned long long)file_system.f_bavail * file_system.f_frsize >= LEAST_BYTES;
}

/* Mesa maps its cache's index into memory: on a full disk the first store ends the process with SIGBUS, from a thread
 * of the driver. Where it cannot make its folder it prints a line of its own. What our kernels compile to is in our own
 * cache already, so it does without. */
void cli_spare_driver_cache(void) {
    char path[4096];
    if (find_cache(path, sizeof path) && !is_usable(path)) setenv("MESA_SHADER_CACHE_DISABLE", "true", 0);
}
