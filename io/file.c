#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* linux/mman.h since 5.14 */
#endif

enum { FAULT_AROUND_BYTES = 65536 }; /* Linux: fault_around_bytes, by default */

struct pio_file {
    char *path;
    void *data; /* NULL for an empty file */
    uint64_t bytes;
    int64_t mtime_ns;
    uintptr_t page_bytes;
    int fd;
};

/* Opens a regular file for reading. O_NONBLOCK keeps a named pipe from blocking before it is refused. */
static pio_status open_regular(const char *path, int *fd, struct stat *info, pio_error *error) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return pio_fail(error, PIO_NOT_FOUND, "there is no file '%s': check the path", path);
        return pio_fail(error, PIO_IO, "cannot open '%s' (%m): check its permissions", path);
    }
    pio_status status = PIO_OK;
    if (fstat(*fd, info) != 0)
        status = pio_fail(error, PIO_IO, "cannot read the size of '%s' (%m): check its file system", path);
    else if (S_ISDIR(info->st_mode))
        status = pio_fail(error, PIO_INVALID_ARGUMENT, "'%s' is a directory: name a file", path);
    else if (!S_ISREG(info->st_mode))
        status = pio_fail(error, PIO_INVALID_ARGUMENT, "'%s' is a pipe or device: name a regular file", path);
    if (status != PIO_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

pio_status pio_file_open(const char *path, pio_file **out, pio_error *error) {
    *out = NULL;
    int fd;
    struct stat info;
    pio_status status = open_regular(path, &fd, &info, error);
    if (status != PIO_OK) return status;

    pio_file *file = calloc(1, sizeof *file);
    if (file) file->fd = -1;
    if (!file || !(file->path = strdup(path))) {
        status = pio_fail_memory(error, path, sizeof *file + strlen(path) + 1);
        goto fail;
    }
    file->bytes = (uint64_t)info.st_size;
    file->mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    file->page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (file->bytes > 0) {
        void *data = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) {
            status = pio_fail(error, errno == ENOMEM ? PIO_OUT_OF_MEMORY : PIO_IO,
                              "cannot map the %llu bytes of '%s' (%m)", (unsigned long long)file->bytes, path);
            goto fail;
        }
        file->data = data;
    }
    file->fd = fd;
    *out = file;
    return PIO_OK;
fail:
    close(fd);
    pio_file_close(file);
    return status;
}

void pio_file_close(pio_file *file) {
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    if (file->data) munmap(file->data, file->bytes);
    free(file->path);
    free(file);
}

const char *pio_file_path(const pio_file *file) {
    return file->path;
}
uint64_t pio_file_bytes(const pio_file *file) {
    return file->bytes;
}
int64_t pio_file_mtime_ns(const pio_file *file) {
    return file->mtime_ns;
}
const void *pio_file_data(const pio_file *file) {
    return file->data;
}

/* madvise on the blocks of `block_bytes` (whole pages) that hold the range. 0 or an errno. */
static int advise(const pio_file *file, uint64_t offset, uint64_t bytes, uintptr_t block_bytes, int advice) {
    if (!file->data || offset >= file->bytes || bytes == 0) return 0;
    bytes = PIO_MIN(bytes, file->bytes - offset);
    uintptr_t start = (uintptr_t)file->data, file_end = PIO_ROUND_UP(start + file->bytes, file->page_bytes);
    uintptr_t first = PIO_MAX((start + offset) / block_bytes * block_bytes, start);
    uintptr_t end = PIO_MIN(PIO_ROUND_UP(start + offset + bytes, block_bytes), file_end);
    while (madvise((void *)first, end - first, advice) != 0) {
        if (errno != EINTR && errno != EAGAIN) return errno;
    }
    return 0;
}

/* A page fault maps the pages around it too, 64 KiB at a time, so the first touch behind a released range brings the
 * end of that range back. Releasing whole blocks of that size takes it along with the next window: measured, windows of
 * 4 MB over 8 GB then peak at 16 MB instead of 58. */
void pio_file_release(const pio_file *file, uint64_t offset, uint64_t bytes) {
    (void)advise(file, offset, bytes, PIO_MAX(file->page_bytes, FAULT_AROUND_BYTES), MADV_DONTNEED);
}

void pio_file_will_need(const pio_file *file, uint64_t offset, uint64_t bytes) {
    (void)advise(file, offset, bytes, file->page_bytes, MADV_WILLNEED);
}

pio_status pio_file_populate(const pio_file *file, uint64_t offset, uint64_t bytes, pio_error *error) {
    int failure = advise(file, offset, bytes, file->page_bytes, MADV_POPULATE_READ);
    if (failure == 0 || failure == EINVAL) return PIO_OK; /* EINVAL: an older kernel; page faults do the work */
    if (failure == ENOMEM)
        return pio_fail(error, PIO_OUT_OF_MEMORY, "not enough memory to read %llu bytes of '%s': free some",
                        (unsigned long long)bytes, file->path);
    return pio_fail(error, PIO_IO,
                    "cannot read %llu bytes at %llu of '%s': the file became shorter or its disk fails; leave the file "
                    "alone while it is used",
                    (unsigned long long)bytes, (unsigned long long)offset, file->path);
}

pio_status pio_file_copy(const pio_file *file, uint64_t offset, uint64_t bytes, void *to, pio_error *error) {
    uint64_t n = 0;
    while (n < bytes) {
        const ssize_t got = pread(file->fd, (char *)to + n, bytes - n, (off_t)(offset + n));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return pio_fail(error, PIO_IO, "cannot read %llu bytes at %llu of '%s' (%m): check its disk",
                            (unsigned long long)bytes, (unsigned long long)offset, file->path);
        if (got == 0)
            return pio_fail(error, PIO_IO, "'%s' became shorter while it was read: leave it alone and try again",
                            file->path);
        n += (uint64_t)got;
    }
    return PIO_OK;
}

/* Reads until `capacity` bytes or the end. -1 with errno on failure. */
static ssize_t read_fully(int fd, char *to, size_t capacity) {
    size_t n = 0;
    while (n < capacity) {
        ssize_t got = read(fd, to + n, capacity - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

pio_status pio_file_read_text(const char *path, size_t limit_bytes, char **text, size_t *n_bytes, pio_error *error) {
    *text = NULL;
    *n_bytes = 0;
    int fd;
    struct stat info;
    pio_status status = open_regular(path, &fd, &info, error);
    if (status != PIO_OK) return status;

    char *buffer = NULL;
    if ((uint64_t)info.st_size > limit_bytes) {
        status = pio_fail(error, PIO_LIMIT,
                          "'%s' has %llu bytes, more than the limit of %zu: it is not the file it should be", path,
                          (unsigned long long)info.st_size, limit_bytes);
        goto fail;
    }
    size_t capacity = (size_t)info.st_size;
    buffer = malloc(capacity + 1);
    if (!buffer) {
        status = pio_fail_memory(error, path, capacity + 1);
        goto fail;
    }
    ssize_t n = read_fully(fd, buffer, capacity);
    if (n < 0) {
        status = pio_fail(error, PIO_IO, "cannot read '%s' (%m): check its disk", path);
        goto fail;
    }
    close(fd);
    buffer[n] = 0;
    *text = buffer;
    *n_bytes = (size_t)n;
    return PIO_OK;
fail:
    close(fd);
    free(buffer);
    return status;
}
