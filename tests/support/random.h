/* Fresh random inputs with a printed seed: PIO_SEED=N repeats a run. */
#ifndef PIO_TESTS_RANDOM_H
#define PIO_TESTS_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct test_random {
    uint64_t state;
} test_random;

static inline test_random test_random_begin(const char *test) {
    const char *given = getenv("PIO_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
    fprintf(stderr, "%s: PIO_SEED=%llu\n", test, (unsigned long long)seed);
    return (test_random){seed};
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t test_random_u64(test_random *random) {
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* In 0..n-1. */
static inline uint64_t test_random_below(test_random *random, uint64_t n) {
    return test_random_u64(random) % n;
}

/* Gaussian, by Box and Muller's formula. */
static inline float test_random_gaussian(test_random *random) {
    double u = (double)(test_random_u64(random) >> 11) * 0x1p-53 + 0x1p-54, v = (double)(test_random_u64(random) >> 11);
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * 0x1p-53 * v));
}

#endif
