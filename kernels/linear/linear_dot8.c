/* How the shaders of dot8.glsl are started. */
#include "kernels/families.h"

enum { LANES = 32, MOST_UNITS = 64 };

/* How the rows of w are shared out. */
typedef struct share {
    int32_t rows;      /* of a unit */
    int32_t subgroups; /* of a workgroup */
    int32_t each;      /* units of a subgroup */
} share;

static int32_t chunks_of(const pio_call *call) {
    return PIO_CEIL_DIV(call->in[1].cols, PIO_DOT8_CHUNK);
}

static int32_t lanes_of(const pio_call *call) {
    return call->subgroup_size ? call->subgroup_size : LANES;
}

static int32_t bytes_of(const pio_call *call, int32_t tokens) {
    return tokens * (PIO_DOT8_CHUNK_BYTES * chunks_of(call) + PIO_DOT8_TOKEN_BYTES);
}

bool pio_linear_match_dot8(const pio_call *call) {
    return call->in[0].cols % 8 == 0 && call->in[0].stride % 16 == 0 && bytes_of(call, 1) <= PIO_DOT8_BYTES &&
           pio_linear_match_stream(call);
}

static int32_t tokens_together(const pio_call *call) {
    int32_t tokens = 1;
    while (tokens < PIO_MIN(PIO_LINEAR_GROUP_TOKENS, call->in[0].rows) && bytes_of(call, 2 * tokens) <= PIO_DOT8_BYTES)
        tokens *= 2;
    return tokens;
}

static int32_t units_of(const pio_call *call, int32_t rows) {
    return PIO_CEIL_DIV(call->in[1].rows, rows);
}

/* Steps of a subgroup along the rows of a unit. */
static int32_t steps_of(const pio_call *call, int32_t rows) {
    return PIO_CEIL_DIV(chunks_of(call) * rows, lanes_of(call));
}

/* Pieces of a unit, whose steps are loaded together. */
static int32_t pieces_of(const pio_call *call, int32_t rows) {
    const int32_t most = call->in[1].layout == PIO_LAYOUT_Q4_ROWS ? PIO_DOT8_LOADS : PIO_DOT8_LOADS / 2;
    return PIO_CEIL_DIV(steps_of(call, rows), most);
}

/* An estimate, in cycles, of what the busiest multiprocessor takes. It issues some two instructions a cycle: about 100
 * to round eight columns, 25 and 35 a token for a step, 80 beside them for a unit. Then there is what no other
 * subgroup's work hides: a start, the loads of each round of rounding, some latency of each piece; once for all
 * workgroups that are there together, which are about 32 subgroups. */
static int64_t cycles_of(const pio_call *call, share s, int32_t tokens) {
    const int64_t units = units_of(call, s.rows), n_parts = 4 * (int64_t)chunks_of(call);
    const int64_t groups = PIO_CEIL_DIV(PIO_CEIL_DIV(units, s.subgroups * s.each), PIO_MAX(1, call->n_workers));
    const int64_t rounding = tokens * PIO_CEIL_DIV(n_parts, lanes_of(call)) * 100;
    const int64_t unit = 80 + steps_of(call, s.rows) * (25 + 35 * tokens);
    const int64_t rounds = PIO_CEIL_DIV(n_parts, s.subgroups * lanes_of(call));
    const int64_t waves = PIO_CEIL_DIV(groups * s.subgroups, 32);
    return groups * (rounding + s.subgroups * s.each * unit) / 2 +
           waves * (1500 + 300 * rounds + 300 * s.each * pieces_of(call, s.rows));
}

static share best_share(const pio_call *call, int32_t tokens) {
    const int32_t most = PIO_MIN(PIO_DOT8_THREADS / lanes_of(call), LANES);
    share best = {0}, s;
    int64_t least = INT64_MAX;
    for (s.rows = call->op == PIO_OP_LINEAR_SWIGLU ? 2 : 1; s.rows <= PIO_DOT8_ROWS; s.rows++)
        for (s.subgroups = 4; s.subgroups <= most; s.subgroups++)
            for (s.each = 1; s.each <= MOST_UNITS; s.each++) {
                const int64_t cycles = cycles_of(call, s, tokens);
                if (cycles >= least) continue;
                least = cycles;
                best = s;
            }
    return best;
}

void pio_linear_dot8_launch(const pio_call *call, pio_launch *launch) {
    const int32_t tokens = tokens_together(call);
    const share s = best_share(call, tokens);
    const int32_t constants[] = {(int32_t)pio_launch_weights(call->in[1].layout),
                                 tokens,
                                 s.rows,
                                 PIO_CEIL_DIV(steps_of(call, s.rows), pieces_of(call, s.rows)),
                                 call->op == PIO_OP_LINEAR_SWIGLU,
                                 chunks_of(call),
                                 s.subgroups * s.each,
                                 s.subgroups * lanes_of(call)};
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(units_of(call, s.rows), s.subgroups * s.each);
    launch->groups[1] = (uint32_t)PIO_CEIL_DIV(call->in[0].rows, tokens);
    for (size_t i = 0; i < PIO_COUNT(constants); i++) launch->constants[i] = (uint32_t)constants[i];
    launch->n_constants = PIO_COUNT(constants);
}
