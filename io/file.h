/* Files as they are read: large ones mapped read-only and given back window by window, small ones read whole.
 *
 * Peak memory as the system counts it (VmHWM) includes mapped pages, so who streams through a large file calls
 * pio_file_release behind himself. A mapped file that somebody shortens raises SIGBUS where it is touched: sizes are
 * checked at open, and who must survive a later loss takes pio_file_copy, as the loader of weights does.
 *
 * Threads: all functions may be called on one file from several threads at once, except pio_file_close. */
#ifndef PIO_IO_FILE_H
#define PIO_IO_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pio_file pio_file;

/* Maps a regular file. Ends with PIO_NOT_FOUND where there is none, PIO_INVALID_ARGUMENT for a directory, pipe or
 * device, PIO_IO where the system refuses. An empty file opens, with NULL data. */
pio_status pio_file_open(const char *path, pio_file **out, pio_error *error);

/* Accepts NULL; every pointer into the data ends with it. */
void pio_file_close(pio_file *file);

const char *pio_file_path(const pio_file *file);
uint64_t pio_file_bytes(const pio_file *file);
int64_t pio_file_mtime_ns(const pio_file *file); /* time of last change, since 1970 */
const void *pio_file_data(const pio_file *file);

/* Gives back the memory of the pages that hold [offset, offset + bytes), clipped to the file. The data stays readable:
 * a page that is touched again comes back from the page cache. So the pages at both ends, which neighbours share, go
 * too (up to 64 KiB more), and it is safe beside readers of the same range. */
void pio_file_release(const pio_file *file, uint64_t offset, uint64_t bytes);

/* Starts reading [offset, offset + bytes) ahead, without waiting. */
void pio_file_will_need(const pio_file *file, uint64_t offset, uint64_t bytes);

/* Reads and maps [offset, offset + bytes) now, which is cheaper than page faults. PIO_IO where the disk fails or the
 * file has become shorter; on kernels before 5.14 it does nothing. */
pio_status pio_file_populate(const pio_file *file, uint64_t offset, uint64_t bytes, pio_error *error);

/* Copies [offset, offset + bytes) without touching the mapping. PIO_IO where the disk fails or the file has become
 * shorter. */
pio_status pio_file_copy(const pio_file *file, uint64_t offset, uint64_t bytes, void *to, pio_error *error);

/* Reads a whole file of at most `limit_bytes` into memory that the caller frees; a NUL follows its *n_bytes bytes.
 * PIO_LIMIT where it is longer. */
pio_status pio_file_read_text(const char *path, size_t limit_bytes, char **text, size_t *n_bytes, pio_error *error);

#endif
