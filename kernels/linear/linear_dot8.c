/* How the shaders over dot8.glsl are started. */
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

bool pio_dot8_fits(const pio_call *call, int32_t tokens) {
    return call->in[0].cols % 8 == 0 && call->in[0].stride % 16 == 0 && tokens <= PIO_LINEAR_GROUP_TOKENS &&
           tokens * (PIO_DOT8_CHUNK_BYTES * chunks_of(call) + PIO_DOT8_TOKEN_BYTES) <= PIO_DOT8_BYTES;
}

static int32_t units_of(const pio_call *call, int32_t rows) {
    return PIO_CEIL_DIV(call->in[1].rows, rows);
}

/* Steps of a subgroup along the rows of a unit. */
static int32_t steps_of(const pio_call *call, int32_t rows) {
    return PIO_CEIL_DIV(chunks_of(call) * rows, lanes_of(call));
}

/* Pieces of a row, whose steps are loaded together. */
static int32_t pieces_of(const pio_call *call, int32_t rows) {
    const int32_t most = call->in[1].layout == PIO_LAYOUT_Q4_ROWS ? PIO_DOT8_LOADS : PIO_DOT8_LOADS / 2;
    return PIO_CEIL_DIV(steps_of(call, rows), most);
}

/* An estimate, in cycles, of what the busiest multiprocessor takes. It issues some two instructions a cycle: about 100
 * to round eight columns, 25 and 35 a token for a step, 80 beside them for a unit. Then there is what no other
 * subgroup's work hides: a start, the loads of each round of rounding, some latency of each piece; once for all
 * workgroups that are there together, which are about 32 subgroups. */
static int64_t cycles_of(const pio_call *call, const pio_dot8_work *work, share s) {
    const int64_t n_parts = 4 * (int64_t)chunks_of(call) * work->tokens, lanes = lanes_of(call);
    const int64_t groups = PIO_CEIL_DIV((int64_t)units_of(call, s.rows), s.subgroups * s.each) * work->n_items;
    const int64_t busiest = PIO_CEIL_DIV(groups, PIO_MAX(1, call->n_workers));
    const int64_t a_step = 25 + 35 * (int64_t)(work->tokens / work->n_terms);
    const int64_t unit = 80 + work->n_terms * steps_of(call, s.rows) * a_step;
    const int64_t issued = PIO_CEIL_DIV(n_parts, lanes) * 100 + s.subgroups * s.each * unit;
    const int64_t rounds = PIO_CEIL_DIV(n_parts, s.subgroups * lanes);
    const int64_t waves = PIO_CEIL_DIV(busiest * s.subgroups, 32);
    return busiest * issued / 2 + waves * (1500 + 300 * (rounds + s.each * work->n_terms * pieces_of(call, s.rows)));
}

static share best_share(const pio_call *call, const pio_dot8_work *work) {
    const int32_t most = PIO_MIN(PIO_DOT8_THREADS / lanes_of(call), LANES);
    share best = {0}, s;
    int64_t least = INT64_MAX;
    for (s.rows = work->swiglu ? 2 : 1; s.rows <= PIO_DOT8_ROWS; s.rows++)
        for (s.subgroups = 4; s.subgroups <= most; s.subgroups++)
            for (s.each = 1; s.each <= MOST_UNITS; s.each++) {
                const int64_t cycles = cycles_of(call, work, s);
                if (cycles >= least) continue;
                least = cycles;
                best = s;
            }
    return best;
}

void pio_dot8_launch(const pio_call *call, const pio_dot8_work *work, int32_t op, pio_launch *launch) {
    const share s = best_share(call, work);
    const int32_t constants[] = {(int32_t)pio_launch_weights(call->in[1].layout),
                                 work->tokens,
                                 s.rows,
                                 PIO_CEIL_DIV(steps_of(call, s.rows), pieces_of(call, s.rows)),
                                 op,
                                 chunks_of(call),
                                 s.subgroups * s.each,
                                 s.subgroups * lanes_of(call)};
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(units_of(call, s.rows), s.subgroups * s.each);
    launch->groups[1] = (uint32_t)work->n_items;
    for (size_t i = 0; i < PIO_COUNT(constants); i++) launch->constants[i] = (uint32_t)constants[i];
    launch->n_constants = PIO_COUNT(constants);
}

/* ---- the linear layers ---- */

bool pio_linear_match_dot8(const pio_call *call) {
    return pio_dot8_fits(call, 1) && pio_linear_match_stream(call);
}

void pio_linear_dot8_launch(const pio_call *call, pio_launch *launch) {
    const bool swiglu = call->op == PIO_OP_LINEAR_SWIGLU;
    int32_t tokens = 1;
    while (tokens < call->in[0].rows && pio_dot8_fits(call, 2 * tokens)) tokens *= 2;
    const pio_dot8_work work = {tokens, PIO_CEIL_DIV(call->in[0].rows, tokens), 1, swiglu};
    pio_dot8_launch(call, &work, swiglu, launch);
}
