/* Allocation failures: tests/unit/test_<name>_memory.c includes this once, and the linker sends the project's calls of
 * malloc and its kin here (tests/CMakeLists.txt), not those of libraries. While `failing_memory_left` is n >= 0, n
 * calls succeed and all after them fail. For one thread. */
#ifndef PIO_TESTS_FAILING_MEMORY_H
#define PIO_TESTS_FAILING_MEMORY_H

#include <stddef.h>

static long failing_memory_left = -1;

static int failing_memory_fails(void) {
    if (failing_memory_left < 0) return 0;
    if (failing_memory_left == 0) return 1;
    failing_memory_left--;
    return 0;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

void *__wrap_malloc(size_t bytes) {
    return failing_memory_fails() ? NULL : __real_malloc(bytes);
}
void *__wrap_calloc(size_t n, size_t bytes) {
    return failing_memory_fails() ? NULL : __real_calloc(n, bytes);
}
void *__wrap_realloc(void *old, size_t bytes) {
    return failing_memory_fails() ? NULL : __real_realloc(old, bytes);
}
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return failing_memory_fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}
char *__wrap_strdup(const char *text) {
    return failing_memory_fails() ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t n) {
    return failing_memory_fails() ? NULL : __real_strndup(text, n);
}

#endif
