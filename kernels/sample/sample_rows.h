/* The rows of SAMPLE, one source for all instruction sets. One worker serves one draw. The greedy way is one pass over
 * the logits; drawing takes a heap of the candidates within reach, of which only those that are kept come off. */
#include "kernels/dialect/vector.h"
#include "kernels/families.h"

#include <math.h>

/* Beyond this many nats below the best, a candidate's probability counts for nothing: 2^24 of them make up 1e-10. */
static const float REACH = 40.0f;

/* One row's part of the scratch. */
typedef struct workspace {
    float *logits; /* [vocab], biased and penalised */
    pio_i32 *heap; /* [vocab] ids, the likeliest on top */
    float *p;      /* [vocab] probabilities, not normalised, of the candidates that were kept */
} workspace;

/* The index of the largest, of equals the lowest; -1 where all are minus infinity. NaN was replaced before. */
static pio_i32 find_best(const float *x, pio_i32 n) {
    float lanes[PIO_LANES], best = -INFINITY;
    pio_i32 i = 0;
    for (int j = 0; j < PIO_LANES; j++) lanes[j] = -INFINITY;
    for (; i + PIO_LANES <= n; i += PIO_LANES)
        for (int j = 0; j < PIO_LANES; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    for (int j = 0; j < PIO_LANES; j++) best = lanes[j] > best ? lanes[j] : best;
    if (!(best > -INFINITY)) return -1;
    for (i = 0; x[i] != best; i++) {
    }
    return i;
}

/* Copies the row, NaN as minus infinity, and applies biases and penalties. */
static void adjust(const pio_sample_slot *slot, const float *x, pio_i32 vocab, float *out) {
    for (pio_i32 i = 0; i < vocab; i++) out[i] = x[i] == x[i] ? x[i] : -INFINITY;
    const pio_sample_bias *biases = PIO_AT(const pio_sample_bias, slot->biases);
    for (pio_i32 i = 0; i < slot->n_biases; i++)
        if (biases[i].id >= 0 && biases[i].id < vocab) out[biases[i].id] += biases[i].bias;
    if (!slot->counts) return;
    const uint16_t *counts = PIO_AT(const uint16_t, slot->counts);
    for (pio_i32 i = 0; i < vocab; i++) {
        if (!counts[i]) continue;
        out[i] = out[i] > 0 ? out[i] / slot->repetition_penalty : out[i] * slot->repetition_penalty;
        const int generated = counts[i] & ~PIO_COUNT_IN_PROMPT;
        if (generated) out[i] -= slot->presence_penalty + (float)generated * slot->frequency_penalty;
    }
}

static bool is_likelier(const float *x, pio_i32 a, pio_i32 b) {
    return x[a] != x[b] ? x[a] > x[b] : a < b;
}

static void sift(const float *x, pio_i32 *heap, pio_i32 n, pio_i32 at) {
    const pio_i32 id = heap[at];
    for (pio_i32 child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_likelier(x, heap[child + 1], heap[child])) child++;
        if (!is_likelier(x, heap[child], id)) break;
        heap[at] = heap[child];
    }
    heap[at] = id;
}

/* Takes the likeliest off the heap of n; it stays behind the heap's new end. */
static pio_i32 pop(const float *x, pio_i32 *heap, pio_i32 n) {
    const pio_i32 top = heap[0];
    heap[0] = heap[n - 1];
    heap[n - 1] = top;
    sift(x, heap, n - 1, 0);
    return top;
}

/* Draws among n candidates of falling or given order; id_of(i) is ids[i]. */
static pio_i32 pick(const float *p, const pio_i32 *ids, pio_i32 n, pio_i32 step, float min_p, double u) {
    double sum = 0;
    pio_i32 token = -1;
    for (pio_i32 i = 0; i < n; i++) sum += p[i] >= min_p ? p[i] : 0;
    double rest = u * sum;
    for (pio_i32 i = 0; i < n; i++) {
        if (p[i] < min_p || p[i] == 0) continue;
        token = ids[i * step];
        if ((rest -= p[i]) < 0) break;
    }
    return token;
}

/* Probabilities of a heap's candidates as they come off: at most top_k, and until top_p is reached. */
static pio_i32 draw_sorted(const pio_sample_slot *slot, workspace *w, pio_i32 n, float best, double u) {
    const float inverse = 1.0f / slot->temperature;
    const pio_i32 most = slot->top_k > 0 && slot->top_k < n ? slot->top_k : n;
    double total = 0, so_far = 0;
    pio_i32 taken = 0, kept = 0;
    for (pio_i32 i = n / 2 - 1; i >= 0; i--) sift(w->logits, w->heap, n, i);
    if (slot->top_k == 0)
        for (pio_i32 i = 0; i < n; i++) total += expf((w->logits[w->heap[i]] - best) * inverse);
    while (taken < most && (slot->top_k > 0 || taken == 0 || so_far < slot->top_p * total)) {
        const pio_i32 id = pop(w->logits, w->heap, n - taken);
        w->p[taken++] = expf((w->logits[id] - best) * inverse);
        so_far += w->p[taken - 1];
    }
    if (slot->top_k > 0) {
        total = so_far;
        so_far = 0;
        while (kept < taken && (kept == 0 || slot->top_p >= 1 || so_far < slot->top_p * total)) so_far += w->p[kept++];
    } else {
        kept = taken;
    }
    return pick(w->p, w->heap + n - 1, kept, -1, slot->min_p, u); /* what came off lies from the end downwards */
}

static pio_i32 draw(const pio_sample_slot *slot, workspace *w, pio_i32 vocab, float best, uint32_t position) {
    const float least = best - REACH * slot->temperature;
    pio_i32 n = 0;
    for (pio_i32 i = 0; i < vocab; i++)
        if (w->logits[i] >= least) w->heap[n++] = i;
    const double u = pio_sample_uniform(slot->seed, position);
    if (slot->top_k > 0 || slot->top_p < 1) return draw_sorted(slot, w, n, best, u);
    for (pio_i32 i = 0; i < n; i++) w->p[i] = expf((w->logits[w->heap[i]] - best) / slot->temperature);
    return pick(w->p, w->heap, n, 1, slot->min_p, u);
}

static pio_i32 next_token(const pio_sample_args *a, pio_i32 o, const pio_sample_slot *slot, uint32_t position) {
    char *scratch = PIO_AT(char, a->scratch) + 12 * (size_t)o * (size_t)a->vocab;
    workspace w = {(float *)scratch, (pio_i32 *)scratch + a->vocab, (float *)scratch + 2 * (size_t)a->vocab};
    adjust(slot, PIO_AT(const float, a->logits + (pio_u64)o * (pio_u64)a->stride), a->vocab, w.logits);
    const pio_i32 best = find_best(w.logits, a->vocab);
    if (best < 0 || !(slot->temperature > 0)) return best;
    return draw(slot, &w, a->vocab, w.logits[best], position);
}

void NAME(const void *args, pio_worker *worker) {
    const pio_sample_args *a = args;
    const pio_i32 rows = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 o; (o = pio_worker_take(worker)) < rows;) {
        const pio_step_draw *d = PIO_AT(const pio_step_draw, a->draws) + o;
        if (d->slot < 0) continue;
        pio_sample_slot *slot = PIO_AT(pio_sample_slot, a->slots) + d->slot;
        const pio_i32 token = next_token(a, o, slot, (uint32_t)d->position);
        PIO_AT(pio_i32, a->ring)[d->ring] = token;
        slot->last_token = PIO_MAX(0, token);
        uint16_t *counts = PIO_AT(uint16_t, slot->counts);
        if (token >= 0 && counts && (counts[token] & 0x7fff) < 0x7fff) counts[token]++;
    }
}
