#include "engine/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { RUNS = 3 }; /* of which the shortest counts */

/* All commands of one row in a list of their own, each behind the one before. */
static pio_status record(pio_model *model, const pio_schedule *schedule, const pio_row *row, int32_t *n,
                         pio_list **list, pio_error *error) {
    pio_status status = pio_list_create(model->chosen.device, true, list, error);
    *n = 0;
    for (int32_t i = 0; i < schedule->n_commands && !status; i++) {
        const pio_command *command = &schedule->commands[i];
        if (command->planned->row != row) continue;
        if ((*n)++) status = pio_list_barrier(*list, error);
        if (!status) status = pio_kernels_record(model->kernels, *list, row, &command->call, error);
    }
    return status ? status : pio_list_end(*list, error);
}

static pio_status time_row(pio_model *model, const pio_schedule *schedule, const pio_row *row, pio_profile *profile,
                           pio_error *error) {
    pio_list *list = NULL;
    pio_profile_line *line = PIO_PUSH(profile, lines);
    uint64_t number, ns, least = UINT64_MAX;
    if (!line) return pio_fail_memory(error, "a profile", sizeof *line);
    pio_row_name(row, line->kernel);
    pio_status status = record(model, schedule, row, &line->n, &list, error);
    for (int i = 0; i < RUNS && !status; i++) {
        status = pio_queue_submit(model->queue, &list, 1, &number, error);
        if (!status) status = pio_queue_wait(model->queue, number, UINT64_MAX, error);
        if (!status) status = pio_queue_elapsed(model->queue, number, &ns, error);
        if (!status) least = PIO_MIN(least, ns);
    }
    pio_list_destroy(list);
    line->seconds = (double)least / 1e9;
    return status;
}

static pio_status profile_plan(pio_model *model, const pio_plan *plan, pio_profile *profile, pio_error *error) {
    pio_schedule schedule;
    pio_status status = pio_schedule_make(plan, &model->memory, &schedule, error);
    if (status) return status;
    for (int32_t i = 0; i < schedule.n_commands && !status; i++) {
        const pio_row *row = schedule.commands[i].planned->row;
        int32_t first = 0;
        while (schedule.commands[first].planned->row != row) first++;
        if (first == i) status = time_row(model, &schedule, row, profile, error);
    }
    pio_schedule_free(&schedule);
    return status;
}

static int longest_first(const void *a, const void *b) {
    const double x = ((const pio_profile_line *)a)->seconds, y = ((const pio_profile_line *)b)->seconds;
    return (x < y) - (x > y);
}

pio_status pio_profile_step(pio_model *model, int32_t rows, pio_profile *profile, pio_error *error) {
    memset(profile, 0, sizeof *profile);
    const pio_bucket *body = pio_bucket_for(&model->body, rows);
    if (!body) return pio_fail(error, PIO_LIMIT, "a step has at most %d tokens", model->options.chunk);
    pio_status status = profile_plan(model, &body->plan, profile, error);
    if (!status) status = profile_plan(model, &pio_bucket_for(&model->head, 1)->plan, profile, error);
    if (!status) qsort(profile->lines, (size_t)profile->n_lines, sizeof *profile->lines, longest_first);
    return status;
}

void pio_profile_free(pio_profile *profile) {
    free(profile->lines);
    memset(profile, 0, sizeof *profile);
}
