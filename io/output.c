#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct pio_output {
    char *path, *directory;
    char *temporary; /* in `directory`; has the file's name while `named` */
    int fd;
    bool named;
    uint64_t bytes;
};

/* What errno says about the target, with the cure that fits. */
static pio_status fail_errno(const pio_output *output, pio_error *error) {
    struct statvfs disk;
    switch (errno) {
    case ENOSPC:
    case EDQUOT:
        if (statvfs(output->directory, &disk) != 0) memset(&disk, 0, sizeof disk);
        return pio_fail(error, PIO_IO,
                        "cannot write '%.500s': it needs %" PRIu64 " bytes and its disk or quota has %" PRIu64
                        " left; free space there or choose another place",
                        output->path, output->bytes, (uint64_t)disk.f_bavail * disk.f_frsize);
    case EFBIG:
        return pio_fail(error, PIO_IO,
                        "cannot write '%.500s': %" PRIu64
                        " bytes are more than the file size limit (ulimit -f) allows; raise "
                        "it or choose another file system",
                        output->path, output->bytes);
    case ENOENT:
    case ENOTDIR:
        return pio_fail(error, PIO_NOT_FOUND, "cannot write '%.500s': there is no directory '%.300s'; make it first",
                        output->path, output->directory);
    default:
        return pio_fail(error, PIO_IO, "cannot write '%.500s' (%m): check permissions and disk", output->path);
    }
}

static bool set_paths(pio_output *output, const char *path) {
    static const char pattern[] = "/.pio-0123456789abcdef.tmp";
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number) return false;
    const char *slash = strrchr(path, '/');
    size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    output->path = strdup(path);
    output->directory = n ? strndup(path, n) : strdup(".");
    if (!output->path || !output->directory) return false;
    size_t capacity = strlen(output->directory) + sizeof pattern;
    output->temporary = malloc(capacity);
    if (!output->temporary) return false;
    snprintf(output->temporary, capacity, "%s/.pio-%016" PRIx64 ".tmp", output->directory, number);
    return true;
}

/* Opens the temporary file; the mode leaves access to the umask, as for any file that a user makes. */
static bool open_temporary(pio_output *output, pio_output_kind kind) {
    if (kind == PIO_OUTPUT_ANY && access("/proc/self/fd", X_OK) == 0) { /* through which it gets its name */
        output->fd = open(output->directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
        if (output->fd >= 0) return true;
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return false;
    }
    output->fd = open(output->temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    output->named = output->fd >= 0;
    return output->named;
}

static bool reserve(const pio_output *output) {
    while (output->bytes > 0 && fallocate(output->fd, 0, 0, (off_t)output->bytes) != 0) {
        if (errno == EINTR) continue;
        return errno == EOPNOTSUPP || errno == ENOSYS; /* then the writes will show it */
    }
    return true;
}

pio_status pio_output_create(const char *path, uint64_t bytes, pio_output_kind kind, pio_output **out,
                             pio_error *error) {
    *out = NULL;
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "cannot write '%.500s': it is a directory; name a file in it",
                        path);
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) /* a rename would put a file in the device's place */
        return pio_fail(error, PIO_INVALID_ARGUMENT, "cannot write '%.500s': it is no regular file; name another",
                        path);
    if (bytes > INT64_MAX)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "cannot write '%.500s': %" PRIu64 " bytes are no possible file size", path, bytes);
    pio_status status;
    pio_output *output = calloc(1, sizeof *output);
    if (!output) return pio_fail_memory(error, path, sizeof *output);
    output->fd = -1;
    output->bytes = bytes;
    char *target = realpath(path, NULL); /* through links: what they lead to is replaced; NULL: nothing is there yet */
    const bool named = set_paths(output, target ? target : path);
    free(target);
    if (!named) {
        status = pio_fail_memory(error, path, 3 * strlen(path));
        goto fail;
    }
    if (!open_temporary(output, kind) || !reserve(output)) {
        status = fail_errno(output, error);
        goto fail;
    }
    *out = output;
    return PIO_OK;
fail:
    pio_output_destroy(output);
    return status;
}

pio_status pio_output_write(pio_output *output, uint64_t offset, const void *data, size_t n_bytes, pio_error *error) {
    if (offset > output->bytes || n_bytes > output->bytes - offset)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "'%.500s' was declared with %" PRIu64 " bytes: %zu more at %" PRIu64 " do not fit",
                        output->path, output->bytes, n_bytes, offset);
    const char *from = data;
    while (n_bytes > 0) {
        ssize_t n = pwrite(output->fd, from, PIO_MIN(n_bytes, (size_t)1 << 30), (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(output, error);
        from += n;
        offset += (uint64_t)n;
        n_bytes -= (size_t)n;
    }
    return PIO_OK;
}

/* Makes the new name durable; best effort, since the file itself is. */
static void sync_directory(const pio_output *output) {
    int fd = open(output->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

pio_status pio_output_commit(pio_output *output, pio_error *error) {
    if (fsync(output->fd) != 0) return fail_errno(output, error);
    if (!output->named) {
        char self[64];
        snprintf(self, sizeof self, "/proc/self/fd/%d", output->fd);
        if (linkat(AT_FDCWD, self, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) != 0)
            return fail_errno(output, error);
        output->named = true;
    }
    if (rename(output->temporary, output->path) != 0) return fail_errno(output, error);
    output->named = false;
    sync_directory(output);
    return PIO_OK;
}

void pio_output_destroy(pio_output *output) {
    if (!output) return;
    if (output->named) unlink(output->temporary);
    if (output->fd >= 0) close(output->fd);
    free(output->temporary);
    free(output->directory);
    free(output->path);
    free(output);
}

/* mkdir -p, for the user alone. Another process may make the same directories at once. */
pio_status pio_output_make_directories(const char *directory, pio_error *error) {
    char *path = strdup(directory);
    if (!path) return pio_fail_memory(error, directory, strlen(directory) + 1);
    pio_status status = PIO_OK;
    for (char *at = path; status == PIO_OK && *at;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char kept = *at;
        *at = 0;
        struct stat info;
        const int failure = mkdir(path, 0700) != 0 ? errno : 0; /* stat would say that there is none */
        if (failure && !(stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
            status = pio_fail(error, PIO_IO,
                              "cannot make the directory '%.400s' (%s): set XDG_CACHE_HOME to one that can be", path,
                              strerror(failure));
        *at = kept;
    }
    free(path);
    return status;
}
