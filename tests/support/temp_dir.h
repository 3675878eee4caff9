/* A directory of a test's own, removed with all that is in it. Everything aborts the test on failure. */
#ifndef PIO_TESTS_TEMP_DIR_H
#define PIO_TESTS_TEMP_DIR_H

#include <stddef.h>

/* Makes a fresh directory; free with temp_dir_remove. */
char *temp_dir_make(void);

/* Accepts NULL. */
void temp_dir_remove(char *directory);

/* "directory/name" in one of eight buffers that take turns; for one thread. */
const char *temp_dir_path(const char *directory, const char *name);

/* Writes a file into the directory and returns its path as temp_dir_path does. */
const char *temp_dir_write(const char *directory, const char *name, const void *data, size_t n_bytes);

/* The number of entries, hidden ones included, without "." and "..". */
size_t temp_dir_count(const char *directory);

#endif
