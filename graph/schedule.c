/* Addresses and barriers. Barriers are derived from byte ranges after packing, never from the graph, so that what the
 * packing laid into the same bytes is ordered too. */
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"

void pio_schedule_free(pio_schedule *schedule) {
    if (!schedule) return;
    free(schedule->commands);
    memset(schedule, 0, sizeof *schedule);
}

static uint64_t state_bytes(const pio_plan *plan, int32_t index) {
    const pio_state *state = &plan->spec->states[index];
    return (uint64_t)PIO_MAX(1, pio_dim_bound(state->rows, &plan->bounds)) * (uint64_t)state->row_bytes;
}

pio_addr pio_plan_locate(const pio_plan *plan, const pio_memory *memory, pio_tensor t, uint64_t *bytes) {
    pio_tensor root = t;
    while (plan->placed[root].root != root) root = plan->placed[root].root;
    const pio_placed *placed = &plan->placed[root];
    *bytes = placed->bytes;
    switch (placed->info.place) {
    case PIO_PLACE_WEIGHT:
        *bytes = 0;
        return memory->weights[placed->info.index];
    case PIO_PLACE_CACHE:
        *bytes = memory->cache_bytes[placed->info.index];
        return memory->caches[placed->info.index];
    case PIO_PLACE_STATE:
        *bytes = state_bytes(plan, placed->info.index);
        return memory->states[placed->info.index];
    default:
        return memory->arena + placed->offset;
    }
}

static void add_access(pio_command *command, pio_addr from, uint64_t bytes, bool writes) {
    if (bytes) command->accesses[command->n_accesses++] = (pio_access){from, from + bytes, writes};
}

static void place_operand(const pio_plan *plan, const pio_memory *memory, pio_tensor t, bool writes,
                          pio_operand *operand, pio_command *command) {
    if (t == PIO_NO_TENSOR) return;
    uint64_t bytes;
    const pio_placed *placed = &plan->placed[t];
    operand->address = pio_plan_locate(plan, memory, t, &bytes);
    add_access(command, operand->address, bytes, writes);
    if (placed->info.place == PIO_PLACE_VIEW) operand->address += sizeof(float) * (uint64_t)placed->info.column;
    operand->live = memory->live[placed->info.rows.symbol];
}

static bool conflict(const pio_command *a, const pio_command *b) {
    for (int i = 0; i < a->n_accesses; i++)
        for (int j = 0; j < b->n_accesses; j++) {
            const pio_access *x = &a->accesses[i], *y = &b->accesses[j];
            if ((x->writes || y->writes) && x->from < y->to && y->from < x->to) return true;
        }
    return false;
}

/* ---- what a row records ---- */

/* Takes notes in place of a list. */
typedef struct note_taker {
    pio_recorder base;
    pio_command *command;
} note_taker;

static pio_status note_dispatch(pio_recorder *recorder, int index, const pio_launch *launch, const void *args,
                                size_t args_bytes, pio_error *error) {
    (void)index, (void)launch, (void)args, (void)args_bytes;
    pio_command *command = ((note_taker *)recorder)->command;
    if (command->n_dispatches == PIO_MAX_DISPATCHES)
        return pio_fail(error, PIO_INTERNAL, "%s: a row records more than %d dispatches",
                        pio_op_get(command->planned->op)->name, PIO_MAX_DISPATCHES);
    command->n_dispatches++;
    return PIO_OK;
}

static pio_status note_barrier(pio_recorder *recorder, pio_error *error) {
    pio_command *command = ((note_taker *)recorder)->command;
    if (!command->n_dispatches || command->n_dispatches == PIO_MAX_DISPATCHES)
        return pio_fail(error, PIO_INTERNAL, "%s: a row's barriers stand between its dispatches",
                        pio_op_get(command->planned->op)->name);
    command->barriers_inside |= UINT32_C(1) << command->n_dispatches;
    return PIO_OK;
}

static pio_status take_notes(pio_command *command, pio_error *error) {
    note_taker taker = {{note_dispatch, note_barrier}, command};
    return pio_row_record(command->planned->row, &taker.base, &command->call, error);
}

static int n_inside(const pio_command *command) {
    int n = 0;
    for (int k = 0; k < command->n_dispatches; k++) n += (int)(command->barriers_inside >> k & 1);
    return n;
}

/* ---- schedules ---- */

static void place(const pio_plan *plan, const pio_memory *memory, pio_command *command) {
    const pio_planned *planned = command->planned;
    pio_planned_call(plan, planned, &command->call);
    command->call.step = memory->step;
    for (int j = 0; j < planned->n_in; j++)
        place_operand(plan, memory, planned->in[j], false, &command->call.in[j], command);
    for (int j = 0; j < planned->n_out; j++)
        place_operand(plan, memory, planned->out[j], true, &command->call.out[j], command);
    if (planned->scratch_bytes) command->call.scratch = memory->arena + planned->scratch_offset;
    add_access(command, command->call.scratch, planned->scratch_bytes, true);
    /* A device's row that has partial results may count who has finished. */
    if (planned->scratch_bytes && memory->step.counters && planned->row->backend != PIO_BACKEND_CPU)
        add_access(command, memory->step.counters, sizeof(uint32_t) * PIO_STEP_COUNTERS, true);
}

pio_status pio_schedule_make(const pio_plan *plan, const pio_memory *memory, pio_schedule *schedule, pio_error *error) {
    memset(schedule, 0, sizeof *schedule);
    schedule->commands = calloc((size_t)PIO_MAX(1, plan->n_nodes), sizeof *schedule->commands);
    if (!schedule->commands) return pio_fail_memory(error, "a schedule", sizeof(pio_command) * (size_t)plan->n_nodes);
    schedule->n_commands = plan->n_nodes;
    int32_t since = 0; /* the first command of which something may stand behind the last barrier */
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        pio_command *command = &schedule->commands[i];
        command->planned = &plan->nodes[i];
        place(plan, memory, command);
        pio_status status = take_notes(command, error);
        if (status) {
            pio_schedule_free(schedule);
            return status;
        }
        for (int32_t j = since; j < i && !command->barrier_before; j++)
            command->barrier_before = conflict(&schedule->commands[j], command);
        if (command->barrier_before || command->barriers_inside) since = i;
        schedule->n_barriers += command->barrier_before + n_inside(command);
        schedule->n_dispatches += command->n_dispatches;
    }
    return PIO_OK;
}

/* Every dispatch of a command but the first needs a barrier before it. */
static pio_status check_inside(const pio_command *command, pio_error *error) {
    char name[PIO_ROW_NAME_BYTES];
    for (int k = 1; k < command->n_dispatches; k++)
        if (!(command->barriers_inside >> k & 1))
            return pio_fail(error, PIO_INTERNAL, "dispatches %d and %d of %s have no barrier between them", k - 1, k,
                            pio_row_name(command->planned->row, name));
    return PIO_OK;
}

pio_status pio_schedule_check(const pio_schedule *schedule, pio_error *error) {
    const pio_command *commands = schedule->commands;
    for (int32_t i = 0; i < schedule->n_commands; i++) {
        pio_status status = check_inside(&commands[i], error);
        if (status) return status;
        for (int32_t j = i - 1; j >= 0 && !commands[j + 1].barrier_before; j--) {
            if (j + 1 < i && commands[j + 1].barriers_inside) break;
            if (!conflict(&commands[i], &commands[j])) continue;
            return pio_fail(error, PIO_INTERNAL,
                            "commands %d (%s) and %d (%s) touch the same bytes and no barrier separates them", j,
                            pio_op_get(commands[j].planned->op)->name, i, pio_op_get(commands[i].planned->op)->name);
        }
    }
    return PIO_OK;
}

/* ---- before there is memory ---- */

static pio_addr take_place(pio_addr *next, uint64_t bytes) {
    const pio_addr at = *next;
    *next += PIO_ROUND_UP(bytes + 1, 256);
    return at;
}

pio_status pio_schedule_imagine(const pio_plan *plan, pio_schedule *schedule, pio_error *error) {
    enum {
        ANY_BYTES = 1 << 20
    }; /* of weights, which nothing writes, and of caches: that they lie apart is what counts */
    const pio_spec *spec = plan->spec;
    const int32_t n = spec->n_weights + spec->n_caches + spec->n_states;
    pio_addr *addresses = calloc((size_t)n + 1, sizeof *addresses), *to = addresses, next = ANY_BYTES;
    uint64_t *cache_bytes = calloc((size_t)spec->n_caches + 1, sizeof *cache_bytes);
    pio_status status = PIO_OK;
    memset(schedule, 0, sizeof *schedule);
    if (!addresses || !cache_bytes) {
        status = pio_fail_memory(error, "a schedule", sizeof *addresses * (size_t)n);
    } else {
        for (int32_t i = 0; i < spec->n_weights; i++) *to++ = take_place(&next, ANY_BYTES);
        for (int32_t i = 0; i < spec->n_caches; i++) *to++ = take_place(&next, cache_bytes[i] = ANY_BYTES);
        for (int32_t i = 0; i < spec->n_states; i++) *to++ = take_place(&next, state_bytes(plan, i));
        const pio_memory memory = {.weights = addresses,
                                   .caches = addresses + spec->n_weights,
                                   .states = addresses + spec->n_weights + spec->n_caches,
                                   .cache_bytes = cache_bytes,
                                   .arena = take_place(&next, plan->arena_bytes)};
        status = pio_schedule_make(plan, &memory, schedule, error);
    }
    free(addresses);
    free(cache_bytes);
    return status;
}
