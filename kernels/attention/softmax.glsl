/* What attention shaders share: the step's sequences, and the running softmax over blocks of GROUP keys, a key a thread
 * (Milakov and Gimelshein 2018). */
#include "kernels/step.h"

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer sequences {
    pio_step_sequence v[];
};

/* The sequence whose rows include t; -1: none. */
int sequence_of(uint64_t counts, uint64_t all, int t) {
    int n = I32(counts).v[1]; /* n_sequences */
    for (int s = 0; s < n; s++) {
        int first = sequences(all).v[s].first_row;
        if (t >= first && t < first + sequences(all).v[s].n_rows) return s;
    }
    return -1;
}

struct softmax {
    float largest, total;
};

const float NO_SCORE = -1e38;

shared float weights[GROUP]; /* of the block's keys */

softmax softmax_begin() {
    return softmax(NO_SCORE, 0);
}

/* Takes the block's scores, NO_SCORE where a thread has no key, into weights[]; what was summed before is to be
 * multiplied by the result. */
float softmax_add(inout softmax s, float score) {
    float grown = max(s.largest, group_max(score)), rescale = exp(s.largest - grown),
          weight = score == NO_SCORE ? 0 : exp(score - grown);
    weights[gl_LocalInvocationID.x] = weight;
    s.total = s.total * rescale + group_sum(weight);
    s.largest = grown;
    barrier();
    return rescale;
}
