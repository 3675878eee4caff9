/* logits: token ids and pictures in, float32 logits of every token out, through the cache in steps of any size. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apps/cli/cli.h"
#include "engine/step.h"
#include "io/safetensors_writer.h"
#include "models/preprocess.h"

/* The sequence that is being fed: its ids, those to come included, and its pages. */
typedef struct feeder {
    pio_model *model;
    int32_t *ids;
    int32_t n_given, n_all, n_fed;
    int32_t *pages;
    int32_t n_pages, step;
    pio_picture *pictures; /* [n_pictures], and as the sight takes them */
    const pio_picture **list;
    int32_t n_pictures;
    pio_sight *sight; /* NULL: no pictures */
    pio_safetensors_writer *writer;
} feeder;

/* ---- pictures ---- */

static pio_status read_picture(const pio_preprocess *settings, const char *path, pio_picture *out, pio_error *error) {
    pio_image image;
    pio_status status = pio_image_read(path, &image, error);
    if (status) return status;
    status = pio_preprocess_picture(settings, &image, out, error);
    pio_image_free(&image);
    return status ? pio_fail_prefix(error, "'%s'", path) : PIO_OK;
}

/* Reads the files that --image names, and finds their places among the ids. */
static pio_status read_pictures(feeder *f, const cli_options *options, pio_error *error) {
    const int n = options->n_images;
    pio_preprocess settings;
    pio_status status = PIO_OK;
    if (n && !f->model->config.common.eyes.merge)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s' is a model without eyes: leave --image out", options->model);
    f->pictures = calloc((size_t)n + 1, sizeof *f->pictures);
    f->list = calloc((size_t)n + 1, sizeof *f->list);
    if (!f->pictures || !f->list) return pio_fail_memory(error, "the pictures", sizeof *f->pictures * (size_t)n);
    if (n) status = pio_preprocess_read(f->model->directory, &settings, error);
    for (; f->n_pictures < n && !status; f->n_pictures += !status) {
        f->list[f->n_pictures] = &f->pictures[f->n_pictures];
        status = read_picture(&settings, options->images[f->n_pictures], &f->pictures[f->n_pictures], error);
    }
    if (!status) status = pio_sight_check(f->model, f->ids, f->n_given, f->list, n, error);
    if (!status && n) status = pio_sight_create(f->model, f->ids, f->n_given, f->list, n, &f->sight, error);
    return status;
}

static void free_pictures(feeder *f) {
    pio_sight_destroy(f->sight);
    for (int32_t i = 0; i < f->n_pictures; i++) pio_picture_free(&f->pictures[i]);
    free(f->pictures);
    free(f->list);
}

/* ---- steps ---- */

static pio_status check_finite(const feeder *f, int32_t row, const float *logits, pio_error *error) {
    for (int32_t i = 0; i < f->model->config.common.vocab_size; i++)
        if (!isfinite(logits[i]))
            return pio_fail(error, PIO_CORRUPT,
                            "'%s': logit %d of token %d is not a finite number: the checkpoint's weights are broken or "
                            "made for another architecture; download it again",
                            f->model->directory, i, row);
    return PIO_OK;
}

static pio_status write_logits(feeder *f, int32_t first_row, int32_t n_rows, pio_error *error) {
    const uint64_t row_bytes = sizeof(float) * (uint64_t)f->model->config.common.vocab_size;
    pio_status status = PIO_OK;
    for (int32_t at = 0; at < n_rows && !status; at += PIO_HEAD_ROWS) {
        pio_step_out outs[PIO_HEAD_ROWS];
        int32_t n = PIO_MIN(PIO_HEAD_ROWS, n_rows - at);
        uint64_t number;
        for (int32_t i = 0; i < n; i++) outs[i] = (pio_step_out){.row = at + i, .slot = -1};
        status = pio_step_head(f->model, outs, n, &number, error);
        if (!status) status = pio_step_wait(f->model, number, error);
        if (!status) status = pio_step_fetch_logits(f->model, n, error);
        for (int32_t i = 0; i < n && !status; i++) {
            if (first_row + at + i >= f->n_given) break; /* the continuation's logits are not asked for */
            status = check_finite(f, first_row + at + i, pio_step_logits(f->model, i), error);
            if (status) break;
            status = pio_safetensors_writer_write(f->writer, 0, row_bytes * (uint64_t)(first_row + at + i),
                                                  pio_step_logits(f->model, i), row_bytes, error);
        }
    }
    return status;
}

/* Feeds the next n ids and writes their logits. */
static pio_status feed(feeder *f, int32_t n, pio_error *error) {
    const pio_step_item item = {f->ids + f->n_fed, n, f->n_fed, f->pages, f->n_pages, f->sight};
    pio_status status = f->sight ? pio_sight_look(f->sight, f->n_fed, n, error) : PIO_OK;
    if (!status) status = pio_step_body(f->model, &item, 1, error);
    if (!status) status = write_logits(f, f->n_fed, n, error);
    f->n_fed += n;
    return status;
}

/* The most likely token after the newest row, of equals the lowest. */
static int32_t best_token(const feeder *f, int32_t out) {
    const float *logits = pio_step_logits(f->model, out);
    int32_t best = 0;
    for (int32_t i = 1; i < f->model->config.common.vocab_size; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static pio_status run_steps(feeder *f, pio_error *error) {
    pio_status status = PIO_OK;
    int32_t last = 0;
    while (f->n_fed < f->n_all && !status) {
        if (cli_interrupted()) return pio_fail(error, PIO_CANCELLED, "interrupted");
        bool given = f->n_fed < f->n_given;
        int32_t n = given ? PIO_MIN(f->step, f->n_given - f->n_fed) : 1;
        if (!given) f->ids[f->n_fed] = last;
        if (!given && f->n_fed + 1 == f->n_all) break; /* the last token is known: nothing follows */
        status = feed(f, n, error);
        if (!status) last = best_token(f, (n - 1) % PIO_HEAD_ROWS);
    }
    return status;
}

static pio_status create_output(feeder *f, const char *path, pio_error *error) {
    const pio_safetensors_spec tensors[] = {
        {"logits", PIO_STORED_F32, 2, {(uint64_t)f->n_given, (uint64_t)f->model->config.common.vocab_size}},
        {"greedy_ids", PIO_STORED_I32, 1, {(uint64_t)f->n_all}},
    };
    return pio_safetensors_writer_create(path, tensors, f->n_all > f->n_given ? 2 : 1, NULL, 0, &f->writer, error);
}

static pio_status prepare(feeder *f, const cli_options *options, pio_error *error) {
    pio_status status = pio_check_prompt(f->model, f->ids, f->n_given, error);
    if (status) return status;
    if (options->greedy > f->model->options.context - f->n_given)
        return pio_fail(error, PIO_LIMIT, "%d ids and %d more are %d tokens and the context holds %d: lower --greedy%s",
                        f->n_given, options->greedy, f->n_given + options->greedy, f->model->options.context,
                        f->model->options.context < f->model->config.common.max_positions ? " or raise --context" : "");
    f->n_all = f->n_given + options->greedy;
    f->n_pages = PIO_CEIL_DIV(f->n_all, f->model->spec.page_tokens);
    f->step = options->step ? PIO_MIN(options->step, f->model->options.chunk) : f->model->options.chunk;
    int32_t *grown = realloc(f->ids, sizeof *f->ids * ((size_t)f->n_all + 1));
    if (grown) f->ids = grown;
    f->pages = malloc(sizeof *f->pages * (size_t)f->n_pages);
    if (!grown || !f->pages) return pio_fail_memory(error, "the token ids", sizeof *f->ids * (size_t)f->n_all);
    for (int32_t i = 0; i < f->n_pages; i++) f->pages[i] = 1 + i;
    return create_output(f, options->out, error);
}

/* Refuses to write over a file that the model is read from, whatever name leads to it. */
static pio_status check_output(const char *directory, const char *out, pio_error *error) {
    struct stat target, info;
    DIR *files = stat(out, &target) ? NULL : opendir(directory);
    pio_status status = PIO_OK;
    for (const struct dirent *entry; files && !status && (entry = readdir(files));) {
        if (fstatat(dirfd(files), entry->d_name, &info, 0) || S_ISDIR(info.st_mode)) continue;
        if (info.st_dev == target.st_dev && info.st_ino == target.st_ino)
            status =
                pio_fail(error, PIO_INVALID_ARGUMENT, "--out '%s' is a file of the model itself: name another", out);
    }
    if (files) closedir(files);
    return status;
}

static pio_status check_options(const cli_options *options, pio_error *error) {
    if (!options->out) return pio_fail(error, PIO_INVALID_ARGUMENT, "logits wants --out FILE: where to write");
    if (!options->ids == !options->ids_file)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "logits wants the token ids: either --ids 1,2,3 or --ids-file FILE");
    return PIO_OK;
}

int cli_logits(const cli_options *options) {
    pio_error error = {0};
    feeder f = {0};
    pio_token_ids ids = {0};
    cli_options adjusted = *options;
    pio_status status = check_options(options, &error);
    if (!status && options->ids) status = cli_parse_ids(options->ids, &ids, &error);
    if (status) {
        free(ids.items);
        return cli_refuse_usage(&error);
    }
    if (options->ids_file) status = cli_read_ids(options->ids_file, &ids, &error);
    f.ids = ids.items;
    f.n_given = ids.n_items;
    char asked[80];
    if (!adjusted.engine.context) {
        adjusted.engine.context = PIO_MAX(1, f.n_given + options->greedy);
        adjusted.engine.context_of = asked;
        snprintf(asked, sizeof asked, "%d token ids and %d behind them (--greedy), %d in all", f.n_given,
                 options->greedy, adjusted.engine.context);
        if (!options->greedy) snprintf(asked, sizeof asked, "%d token ids", f.n_given);
    }
    cli_catch_interrupt();
    if (!status) status = cli_open_model(&adjusted, false, &f.model, &error);
    if (!status) status = check_output(f.model->directory, options->out, &error);
    if (!status) status = read_pictures(&f, options, &error);
    if (!status) status = prepare(&f, options, &error);
    if (!status) status = run_steps(&f, &error);
    if (!status && f.n_all > f.n_given)
        status = pio_safetensors_writer_write(f.writer, 1, 0, f.ids, sizeof *f.ids * (uint64_t)f.n_all, &error);
    if (!status) status = pio_safetensors_writer_finish(f.writer, &error);
    pio_safetensors_writer_destroy(f.writer);
    free_pictures(&f);
    pio_model_close(f.model);
    free(f.ids);
    free(f.pages);
    return status ? cli_refuse(&error) : EXIT_DONE;
}
