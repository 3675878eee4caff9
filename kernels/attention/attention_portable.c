/* Attention over KV_F32 in plain C: the row of --compute f32. Sums run in LANES so that they vectorise. */
#include "kernels/attention/attention_flow.h"
#include "kernels/families.h"

enum { ATT_PANEL = 4, ATT_LANES = 1, LANES = 8 };
typedef float att_q, att_p, att_kv;

static void att_pack(const float *const *rows, int32_t n_rows, int32_t head_dim, float factor, att_q *panel) {
    for (int32_t r = 0; r < n_rows; r++)
        for (int32_t i = 0; i < head_dim; i++) panel[r * head_dim + i] = rows[r][i] * factor;
}

static inline float dot(const float *restrict q, const float *restrict k, int32_t n) {
    float sums[LANES] = {0};
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) sums[j] += q[i + j] * k[i + j];
    for (; i < n; i++) sums[0] += q[i] * k[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

static void att_scores(const att_q *panel, int32_t n_rows, const att_kv *k, int32_t n_keys, int32_t head_dim,
                       float *s) {
    for (int32_t key = 0; key < n_keys; key++)
        for (int32_t r = 0; r < n_rows; r++)
            s[r * ATT_KEYS + key] = dot(panel + r * head_dim, k + key * head_dim, head_dim);
}

static bool att_weights(float *s, int32_t n_rows, const int32_t *visible, int32_t n_keys, att_ends ends,
                        att_p *p) {
    for (int32_t r = 0; r < n_rows; r++, s += ATT_KEYS, p += ATT_KEYS) {
        int32_t n_seen = visible ? visible[r] : n_keys;
        float largest = ends.largest[r], total = 0;
        for (int32_t key = 0; key < n_seen; key++) largest = s[key] > largest ? s[key] : largest;
        for (int32_t key = 0; key < n_seen; key++) total += p[key] = exp2f(s[key] - largest);
        for (int32_t key = n_seen; key < n_keys; key++) p[key] = 0;
        ends.shrink[r] = exp2f(ends.largest[r] - largest);
        ends.total[r] = ends.total[r] * ends.shrink[r] + total;
        ends.largest[r] = largest;
    }
    return true;
}

static void att_values(const att_p *p, int32_t n_rows, const att_kv *v, int32_t n_keys, int32_t head_dim,
                       const float *shrink, float *restrict o) {
    for (int32_t r = 0; r < n_rows; r++, p += ATT_KEYS, o += head_dim) {
        float by = shrink ? shrink[r] : 1;
        int32_t i = 0;
        for (; i + LANES <= head_dim; i += LANES) {
            float sums[LANES] = {0};
            for (int32_t key = 0; key < n_keys; key++)
                for (int j = 0; j < LANES; j++) sums[j] += p[key] * v[key * head_dim + i + j];
            for (int j = 0; j < LANES; j++) o[i + j] = o[i + j] * by + sums[j];
        }
        for (; i < head_dim; i++) {
            float sum = 0;
            for (int32_t key = 0; key < n_keys; key++) sum += p[key] * v[key * head_dim + i];
            o[i] = o[i] * by + sum;
        }
    }
}

#include "kernels/attention/attention_tile.h"

void pio_attention_portable(const void *args, pio_worker *worker) {
    att_run(args, worker);
}
