/* A plan: one graph under one set of bounds, with the row of every node, the conversions between them, and a place in
 * the arena for everything temporary. Recording puts a plan into a command list. */
#ifndef PIO_GRAPH_PLAN_H
#define PIO_GRAPH_PLAN_H

#include "graph/graph.h"
#include "kernels/load.h"
#include "kernels/select.h"

/* A tensor as this plan has it: the graph's tensors first, then the converted ones. */
typedef struct pio_placed {
    pio_tensor_info info;
    pio_encoding encoding;
    pio_tensor root; /* the tensor in whose memory it lies: itself, the one it is a view of, or the one it overwrites */
    int32_t first, last;    /* planned nodes that write it first and read it last; first > last: unused */
    uint64_t bytes, offset; /* in the arena */
} pio_placed;

typedef struct pio_planned {
    pio_op op;
    const pio_row *row;
    int8_t n_in, n_out;
    pio_tensor in[PIO_MAX_IN], out[PIO_MAX_OUT];
    pio_attrs attrs;
    int32_t layer;
    uint64_t scratch_bytes, scratch_offset;
} pio_planned;

typedef struct pio_plan {
    const pio_spec *spec;
    const pio_graph *graph;
    pio_bounds bounds;
    int n_workers, subgroup_size;
    pio_placed *placed;
    int32_t n_placed, placed_capacity;
    pio_planned *nodes;
    int32_t n_nodes, nodes_capacity;
    uint64_t arena_bytes;
} pio_plan;

/* `keep_taps`: tapped tensors stay readable after the step. `spec` and `graph` must outlive the plan. */
pio_status pio_plan_make(const pio_spec *spec, const pio_graph *graph, const pio_selector *selector,
                         const pio_bounds *bounds, bool keep_taps, pio_plan *plan, pio_error *error);
void pio_plan_free(pio_plan *plan);

/* The call of a planned node, without addresses. */
void pio_planned_call(const pio_plan *plan, const pio_planned *node, pio_call *call);

/* ---- recording ---- */

/* Device addresses of everything that a list names. */
typedef struct pio_memory {
    const pio_addr *weights, *caches, *states; /* [spec->n_...] */
    const uint64_t *cache_bytes;               /* [spec->n_caches] */
    pio_addr arena;
    pio_step_addresses step;
    pio_addr live[PIO_SYMBOL_COUNT]; /* i32 live counts */
} pio_memory;

/* Address and length of the bytes that tensor `t` covers (of a weight 0); a view covers those of its tensor. */
pio_addr pio_plan_locate(const pio_plan *plan, const pio_memory *memory, pio_tensor t, uint64_t *bytes);

/* Bytes [from, to) that a command reads or writes. */
typedef struct pio_access {
    pio_addr from, to;
    bool writes;
} pio_access;

enum { PIO_MAX_ACCESSES = PIO_MAX_IN + PIO_MAX_OUT + 2, PIO_MAX_DISPATCHES = 32 };

/* One planned node with its addresses, what it touches, whether a barrier stands before it, and what its row records:
 * so many dispatches, with a barrier before each whose bit is set. */
typedef struct pio_command {
    const pio_planned *planned;
    pio_call call;
    pio_access accesses[PIO_MAX_ACCESSES];
    int n_accesses;
    bool barrier_before;
    int n_dispatches;
    uint32_t barriers_inside; /* bit k: before dispatch k */
} pio_command;

typedef struct pio_schedule {
    pio_command *commands;
    int32_t n_commands;
    int32_t n_dispatches, n_barriers; /* all that a list has of them */
} pio_schedule;

/* Addresses and barriers: a barrier stands where a command touches bytes that one since the last barrier wrote, or
 * writes bytes that one since then read. Weights, which nothing writes, need none. A row's own barriers count: what
 * was recorded before them is ordered, but for what the row itself touches. */
pio_status pio_schedule_make(const pio_plan *plan, const pio_memory *memory, pio_schedule *schedule, pio_error *error);
void pio_schedule_free(pio_schedule *schedule);

/* A schedule of a plan whose memory has not been allocated, at invented addresses: the dispatches and barriers are
 * those that will be recorded. */
pio_status pio_schedule_imagine(const pio_plan *plan, pio_schedule *schedule, pio_error *error);

/* Proves the barriers of a schedule anew, pair by pair: PIO_INTERNAL names the first two commands whose order matters
 * and that no barrier separates, or the row that records a dispatch behind another without one. What a row's dispatches
 * hand to each other lies in its scratch or outputs and is not declared dispatch by dispatch, so each is taken to need
 * what the one before it wrote. */
pio_status pio_schedule_check(const pio_schedule *schedule, pio_error *error);

/* Appends the schedule to `list`. */
pio_status pio_record(const pio_schedule *schedule, pio_kernels *kernels, pio_list *list, pio_error *error);

#endif
