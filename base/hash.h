/* A fast 64-bit hash of bytes: for finding damage and for telling contents apart, not against an adversary. */
#ifndef PIO_BASE_HASH_H
#define PIO_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pio_hash_mix(uint64_t state, uint64_t word) {
    state = (state ^ word) * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
    return state ^ state >> 29;
}

/* Four words at a time, which depend on each other only at the end. */
static inline uint64_t pio_hash(const void *data, size_t n_bytes, uint64_t seed) {
    const char *from = data;
    uint64_t lanes[4] = {seed, seed + 1, seed + 2, seed + 3}, words[4];
    size_t left = n_bytes;
    for (; left >= sizeof words; left -= sizeof words, from += sizeof words) {
        memcpy(words, from, sizeof words);
        for (int i = 0; i < 4; i++) lanes[i] = pio_hash_mix(lanes[i], words[i]);
    }
    memset(words, 0, sizeof words);
    memcpy(words, from, left);
    for (int i = 0; i < 4; i++) lanes[i] = pio_hash_mix(lanes[i], words[i]);
    return pio_hash_mix(pio_hash_mix(lanes[0], lanes[1]), pio_hash_mix(lanes[2], lanes[3])) ^ n_bytes;
}

#endif
