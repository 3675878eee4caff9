/* Attention over KV_F32 in plain C: the row of --compute f32. Sums run in LANES so that they vectorise. */
#include "kernels/attention/attention_flow.h"
#include "kernels/families.h"

enum { ATT_PANEL = 4, ATT_LANES = 1, ATT_COLUMNS = 64, LANES = 8 };
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

static void att_scores(const att_q *panel, int32_t n_rows, const att_kv *k, int32_t n_keys, int32_t head_dim, float *s,
                       uintptr_t ahead) {
    (void)ahead;
    for (int32_t key = 0; key < n_keys; key++)
        for (int32_t r = 0; r < n_rows; r++)
            s[r * ATT_KEYS + key] = dot(panel + r * head_dim, k + key * head_dim, head_dim);
}

static bool att_weights(const float *s, int32_t n_rows, const int32_t *visible, att_ends ends, uintptr_t ahead,
                        int32_t head_dim, att_p *p) {
    (void)ahead, (void)head_dim;
    bool rose = false;
    for (int32_t r = 0; r < n_rows; r++, s += ATT_KEYS, p += ATT_BLOCKS * ATT_KEYS) {
        int32_t n_seen = visible ? visible[r] : ATT_KEYS;
        float largest = ends.largest[r], total = 0;
        for (int32_t key = 0; key < n_seen; key++) largest = s[key] > largest ? s[key] : largest;
        for (int32_t key = 0; key < n_seen; key++) total += p[key] = exp2f(s[key] - largest);
        for (int32_t key = n_seen; key < ATT_KEYS; key++) p[key] = 0;
        rose |= largest > ends.largest[r];
        ends.shrink[r] = exp2f(ends.largest[r] - largest);
        ends.total[r] = ends.total[r] * ends.shrink[r] + total;
        ends.largest[r] = largest;
    }
    return rose;
}

/* o [columns] += p [n_keys] . v */
static void add_values(const float *p, const att_block *block, int32_t head_dim, int32_t column, int32_t n_columns,
                       float *restrict o) {
    const float *v = (const float *)block->v + column;
    int32_t i = 0;
    for (; i + LANES <= n_columns; i += LANES) {
        float sums[LANES] = {0};
        for (int32_t key = 0; key < block->n_keys; key++)
            for (int j = 0; j < LANES; j++) sums[j] += p[key] * v[key * head_dim + i + j];
        for (int j = 0; j < LANES; j++) o[i + j] += sums[j];
    }
    for (; i < n_columns; i++)
        for (int32_t key = 0; key < block->n_keys; key++) o[i] += p[key] * v[key * head_dim + i];
}

static void att_values(const att_p *p, int32_t n_rows, const att_block *blocks, int32_t n_blocks, int32_t head_dim,
                       int32_t column, int32_t n_columns, float *o, const att_block *ahead) {
    (void)ahead;
    for (int32_t r = 0; r < n_rows; r++)
        for (int32_t b = 0; b < n_blocks; b++)
            add_values(p + (r * ATT_BLOCKS + b) * ATT_KEYS, blocks + b, head_dim, column, n_columns,
                       o + r * head_dim + column);
}

#include "kernels/attention/attention_kv.h"

void pio_attention_portable(const void *args, pio_worker *worker) {
    att_run(args, worker);
}
