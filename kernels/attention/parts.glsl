/* Attention cut over its keys. The workgroups of a row and its heads each take a range of keys and leave (sums, largest
 * score, sum of weights) in the scratch; which of them comes last combines, so that no second dispatch is waited for.
 *
 * What a workgroup wrote is there for the last one to read: the writes are coherent (no cache that others do not see),
 * every thread's memoryBarrierBuffer() and the barrier() order them before the first thread's atomic addition, and the
 * last one's addition, which returned the others', before its reads. The counter goes back to 0 for the next command.
 *
 * The includer has the arguments `a` in its push constants, and defines VALUE_DIM, a multiple of 4, and
 * PART_LEAST_KEYS: a part's start costs as much as some tens of keys. */
const float NO_SCORE = -1e38;   /* below every score, but no infinity, so that differences are numbers */

layout(buffer_reference, scalar, buffer_reference_align = 16) coherent buffer PART_SUMS { vec4 v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 8) coherent buffer PART_ENDS { vec2 v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) coherent buffer COUNTERS { uint v[]; };

shared bool is_last;

/* Keys of each part of n_keys, in steps of 32. */
int keys_of_part(int n_keys) {
    int even = (n_keys + a.n_parts - 1) / a.n_parts;
    return max((even + 31) / 32 * 32, PART_LEAST_KEYS);
}

/* Which partial result: of row t, part and query head. */
int part_index(int t, int part, int head) {
    return (t * a.n_parts + part) * a.n_heads + head;
}

void part_write(int index, int column, vec4 sums) {
    PART_SUMS(a.scratch).v[index * (VALUE_DIM / 4) + column / 4] = sums;
}

uint64_t part_ends() {
    return a.scratch + 4ul * uint64_t(VALUE_DIM) * uint64_t(a.rows) * uint64_t(a.n_parts * a.n_heads);
}

void part_write_ends(int index, float largest, float total) {
    PART_ENDS(part_ends()).v[index] = vec2(largest, total);
}

/* Whether this workgroup is the last of n that share a counter; all its threads call it, behind their last write. */
bool part_is_last(int counter, int n) {
    memoryBarrierBuffer();
    barrier();
    if (gl_LocalInvocationIndex == 0) {
        is_last = atomicAdd(COUNTERS(a.counters).v[counter], 1u) == uint(n - 1);
        if (is_last) COUNTERS(a.counters).v[counter] = 0u;
    }
    barrier();
    memoryBarrierBuffer();
    return is_last;
}

float inverse_of(float total) {
    return total > 0 ? 1 / total : 0;
}

/* Four columns of y[t, head], of n parts: AT_ONCE of them are read together, for what other processors wrote comes from
 * far away. */
vec4 part_combine(int t, int head, int column, int n) {
    const int AT_ONCE = 8;
    float largest = NO_SCORE, total = 0;
    vec4 sum = vec4(0);
    [[dont_unroll]] for (int first = 0; first < n; first += AT_ONCE) {
        vec2 ends[AT_ONCE];
        vec4 sums[AT_ONCE];
        float before = largest;
        [[unroll]] for (int p = 0; p < AT_ONCE; p++) {
            int index = part_index(t, min(first + p, n - 1), head);
            ends[p] = PART_ENDS(part_ends()).v[index];
            sums[p] = PART_SUMS(a.scratch).v[index * (VALUE_DIM / 4) + column / 4];
        }
        [[unroll]] for (int p = 0; p < AT_ONCE; p++) largest = max(largest, ends[p].x);
        total *= exp2(before - largest);
        sum *= exp2(before - largest);
        [[unroll]] for (int p = 0; p < AT_ONCE; p++) {
            float weight = first + p < n ? exp2(ends[p].x - largest) : 0;
            total += weight * ends[p].y;
            sum += weight * sums[p];
        }
    }
    return sum * inverse_of(total);
}
