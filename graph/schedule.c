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
    case PIO_PLACE_STATE: {
        const pio_state *state = &plan->spec->states[placed->info.index];
        *bytes = (uint64_t)PIO_MAX(1, pio_dim_bound(state->rows, &plan->bounds)) * (uint64_t)state->row_bytes;
        return memory->states[placed->info.index];
    }
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

pio_status pio_schedule_make(const pio_plan *plan, const pio_memory *memory, pio_schedule *schedule, pio_error *error) {
    memset(schedule, 0, sizeof *schedule);
    schedule->commands = calloc((size_t)PIO_MAX(1, plan->n_nodes), sizeof *schedule->commands);
    if (!schedule->commands) return pio_fail_memory(error, "a schedule", sizeof(pio_command) * (size_t)plan->n_nodes);
    schedule->n_commands = plan->n_nodes;
    int32_t since = 0; /* the first command behind the last barrier */
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        const pio_planned *planned = &plan->nodes[i];
        pio_command *command = &schedule->commands[i];
        command->planned = planned;
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
        for (int32_t j = since; j < i && !command->barrier_before; j++)
            command->barrier_before = conflict(&schedule->commands[j], command);
        if (command->barrier_before) {
            since = i;
            schedule->n_barriers++;
        }
    }
    return PIO_OK;
}

pio_status pio_schedule_check(const pio_schedule *schedule, pio_error *error) {
    for (int32_t i = 0; i < schedule->n_commands; i++) {
        for (int32_t j = i - 1; j >= 0 && !schedule->commands[j + 1].barrier_before; j--) {
            if (!conflict(&schedule->commands[i], &schedule->commands[j])) continue;
            return pio_fail(error, PIO_INTERNAL,
                            "commands %d (%s) and %d (%s) touch the same bytes and no barrier separates them", j,
                            pio_op_get(schedule->commands[j].planned->op)->name, i,
                            pio_op_get(schedule->commands[i].planned->op)->name);
        }
    }
    return PIO_OK;
}
