/* Allocation failures and counts: tests/unit/test_<name>_memory.c includes this once, and the linker sends the
 * project's calls of malloc and its kin here (tests/CMakeLists.txt), not those of libraries. Any thread may call.
 *
 * While `failing_memory_left` is n >= 0, n calls succeed and all after them fail; with `failing_memory_once`, only the
 * one after them fails. */
#ifndef PIO_TESTS_FAILING_MEMORY_H
#define PIO_TESTS_FAILING_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

static atomic_long failing_memory_left = -1;
static atomic_bool failing_memory_once;
static atomic_long failing_memory_calls, failing_memory_failures; /* how many there were */

static inline int failing_memory_fails(void) {
    atomic_fetch_add(&failing_memory_calls, 1);
    long left = atomic_load(&failing_memory_left);
    while (left >= 0) {
        if (left == 0 && !atomic_load(&failing_memory_once)) break;
        if (atomic_compare_exchange_weak(&failing_memory_left, &left, left - 1)) break;
    }
    if (left != 0) return 0;
    atomic_fetch_add(&failing_memory_failures, 1);
    return 1;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);

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
/* Mapping a file is not memory: it is counted, and never fails here. */
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (file >= 0) {
        atomic_fetch_add(&failing_memory_calls, 1);
        return __real_mmap(at, bytes, protection, flags, file, offset);
    }
    return failing_memory_fails() ? (void *)-1 : __real_mmap(at, bytes, protection, flags, file, offset);
}

#endif
