/* SAMPLE in plain C, for reading: candidates are sorted. The rows that serve it work without sorting (sample_rows.c).
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/families.h"

void pio_sample_bind(const pio_call *call, void *args) {
    const pio_operand *logits = &call->in[0];
    *(pio_sample_args *)args = (pio_sample_args){.logits = logits->address,
                                                 .slots = call->in[1].address,
                                                 .draws = call->step.draws,
                                                 .ring = call->out[0].address,
                                                 .scratch = call->scratch,
                                                 .live = logits->live,
                                                 .rows = logits->rows,
                                                 .vocab = logits->cols,
                                                 .stride = (pio_i32)logits->stride};
}

size_t pio_sample_scratch(const pio_call *call) {
    return (size_t)call->in[0].rows * (size_t)call->in[0].cols * 12;
}

/* Philox4x32-10: one block for the counter (position, 0, 0, 0) and the key seed; its first two words give 53 bits. */
double pio_sample_uniform(uint64_t seed, uint32_t position) {
    uint32_t c[4] = {position, 0, 0, 0}, k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
        uint64_t a = (uint64_t)0xd2511f53u * c[0], b = (uint64_t)0xcd9e8d57u * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};
        for (int i = 0; i < 4; i++) c[i] = next[i];
    }
    return (double)(((uint64_t)c[0] << 32 | c[1]) >> 11) * 0x1p-53;
}

typedef struct candidate {
    double p;
    pio_i32 id;
} candidate;

static int likelier_first(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p ? 1 : -1) : x->id - y->id;
}

static float adjusted_logit(const pio_sample_slot *slot, float x, pio_i32 id) {
    if (isnan(x)) x = -INFINITY;
    const pio_sample_bias *biases = PIO_AT(const pio_sample_bias, slot->biases);
    for (pio_i32 i = 0; i < slot->n_biases; i++)
        if (biases[i].id == id) x += biases[i].bias;
    if (!slot->counts) return x;
    const uint16_t count = PIO_AT(const uint16_t, slot->counts)[id];
    if (count) x = x > 0 ? x / slot->repetition_penalty : x * slot->repetition_penalty;
    const int generated = count & ~PIO_COUNT_IN_PROMPT;
    if (generated) x -= slot->presence_penalty + (float)generated * slot->frequency_penalty;
    return x;
}

static pio_i32 draw(const pio_sample_slot *slot, const float *logits, pio_i32 vocab, uint32_t position,
                    candidate *all) {
    float best = -INFINITY;
    pio_i32 token = -1, n = vocab;
    for (pio_i32 i = 0; i < vocab; i++) {
        float x = adjusted_logit(slot, logits[i], i);
        all[i] = (candidate){x, i};
        if (x > best) {
            best = x;
            token = i;
        }
    }
    if (token >= 0 && slot->temperature > 0) {
        const bool sorted = slot->top_k > 0 || slot->top_p < 1;
        double total = 0, sum = 0;
        for (pio_i32 i = 0; i < vocab; i++) all[i].p = exp((all[i].p - best) / slot->temperature);
        if (sorted) qsort(all, (size_t)vocab, sizeof *all, likelier_first);
        if (slot->top_k > 0 && slot->top_k < n) n = slot->top_k;
        for (pio_i32 i = 0; i < n; i++) total += all[i].p;
        if (slot->top_p < 1) {
            pio_i32 kept = 0;
            for (double so_far = 0; kept < n && (kept == 0 || so_far < slot->top_p * total); kept++)
                so_far += all[kept].p;
            n = kept;
        }
        for (pio_i32 i = 0; i < n; i++) sum += all[i].p >= slot->min_p ? all[i].p : 0;
        double rest = pio_sample_uniform(slot->seed, position) * sum;
        for (pio_i32 i = 0; i < n; i++) {
            if (all[i].p < slot->min_p || all[i].p == 0) continue;
            token = all[i].id;
            if ((rest -= all[i].p) < 0) break;
        }
    }
    return token;
}

void pio_sample_ref(const void *args, pio_worker *worker) {
    const pio_sample_args *a = args;
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    const size_t bytes = sizeof(candidate) * (size_t)a->vocab;
    /* Small vocabularies, those of the self-test, need no memory that might be missing. */
    candidate *larger = bytes > worker->scratch_bytes ? malloc(bytes) : NULL, *all = larger ? larger : worker->scratch;
    if (bytes > worker->scratch_bytes && !larger) return;
    for (pio_i32 o = worker->index; o < rows; o += worker->n_workers) {
        const pio_step_draw *d = PIO_AT(const pio_step_draw, a->draws) + o;
        if (d->slot < 0) continue;
        pio_sample_slot *slot = PIO_AT(pio_sample_slot, a->slots) + d->slot;
        const float *logits = PIO_AT(const float, a->logits + (pio_u64)o * (pio_u64)a->stride);
        const pio_i32 token = draw(slot, logits, a->vocab, (uint32_t)d->position, all);
        PIO_AT(pio_i32, a->ring)[d->ring] = token;
        slot->last_token = PIO_MAX(0, token);
        if (token >= 0 && slot->counts) PIO_AT(uint16_t, slot->counts)[token]++;
    }
    free(larger);
}
