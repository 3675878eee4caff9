#include "engine/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { RUNS = 3 }; /* of which the shortest counts */

/* One command in a list of its own. */
static pio_status time_command(pio_model *model, const pio_command *command, double *seconds, pio_error *error) {
    pio_list *list = NULL;
    uint64_t number, ns, least = UINT64_MAX;
    pio_status status = pio_list_create(model->chosen.device, true, &list, error);
    if (!status) status = pio_kernels_record(model->kernels, list, command->planned->row, &command->call, error);
    if (!status) status = pio_list_end(list, error);
    for (int i = 0; i < RUNS && !status; i++) {
        status = pio_queue_submit(model->queue, &list, 1, &number, error);
        if (!status) status = pio_queue_wait(model->queue, number, UINT64_MAX, error);
        if (!status) status = pio_queue_elapsed(model->queue, number, &ns, error);
        if (!status) least = PIO_MIN(least, ns);
    }
    pio_list_destroy(list);
    *seconds = (double)least / 1e9;
    return status;
}

static pio_status add(pio_profile *profile, const pio_row *row, double seconds, pio_error *error) {
    char name[PIO_ROW_NAME_BYTES];
    pio_row_name(row, name);
    pio_profile_line *line = profile->lines, *end = line ? line + profile->n_lines : NULL;
    while (line != end && strcmp(line->kernel, name)) line++;
    if (line == end) {
        line = PIO_PUSH(profile, lines);
        if (!line) return pio_fail_memory(error, "a profile", sizeof *line);
        *line = (pio_profile_line){0};
        memcpy(line->kernel, name, sizeof name);
    }
    line->n++;
    line->seconds += seconds;
    return PIO_OK;
}

static pio_status profile_plan(pio_model *model, const pio_plan *plan, pio_profile *profile, pio_error *error) {
    pio_schedule schedule;
    pio_status status = pio_schedule_make(plan, &model->memory, &schedule, error);
    if (status) return status;
    for (int32_t i = 0; i < schedule.n_commands && !status; i++) {
        double seconds;
        status = time_command(model, &schedule.commands[i], &seconds, error);
        if (!status) status = add(profile, schedule.commands[i].planned->row, seconds, error);
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
