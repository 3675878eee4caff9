/* What compare found: a verdict, JSON, and a table with a column for each entry. */
#include <math.h>
#include <string.h>

#include "apps/cli/compare.h"
#include "base/bytes.h"

/* ---- the verdict ---- */

/* Why one does not agree: the layer where it goes beyond the bound, the logits, or the tokens. */
static void reason(const cli_contender *c, char *text, size_t bytes) {
    const pio_drift *d = &c->drift;
    if (!(d->layers[d->n_layers - 1].median <= d->bound)) {
        int32_t layer = 0;
        while (d->layers[layer].median <= d->bound) layer++;
        snprintf(text, bytes, "the residual stream drifts by %.2g, and from layer %d on by more than %.2g",
                 d->layers[d->n_layers - 1].median, layer, d->bound);
    } else if (!(d->logits.median <= d->bound)) {
        snprintf(text, bytes, "the logits drift by %.2g, more than %.2g", d->logits.median, d->bound);
    } else {
        snprintf(text, bytes, "%d of %d tokens are clearly others, the first at place %d by a margin of %.3g",
                 d->n_clear, c->trace.n_tokens, d->first, d->margin);
    }
}

bool cli_compare_judge(cli_comparison *all) {
    const cli_contender *reference = all->contenders, *worst = NULL;
    double most = 0;
    int n_others = 0;
    for (int i = 1; i < all->n; i++) {
        const cli_contender *c = &all->contenders[i];
        if (!c->drift.agrees && n_others++ == 0) worst = c;
        most = fmax(most, c->drift.logits.median);
    }
    char why[200];
    if (worst) {
        reason(worst, why, sizeof why);
        snprintf(all->verdict, sizeof all->verdict, "%.200s differs from %.200s: %s", worst->name, reference->name,
                 why);
    } else {
        snprintf(all->verdict, sizeof all->verdict, "%s with %.200s: the logits drift by at most %.2g",
                 all->n == 2 ? "it agrees" : "all agree", reference->name, most);
    }
    return !worst;
}

/* ---- JSON ---- */

static json_t *number(double x) { /* JSON has no infinity */
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *row_json(const char *name, const pio_drift_row *row) {
    return json_pack("{s:s, s:o, s:o, s:i}", "of", name, "median", number(row->median), "worst", number(row->worst),
                     "worst_row", row->worst_row);
}

static json_t *drift_json(const pio_drift *d) {
    json_t *layers = json_array(), *first = json_null();
    char name[32];
    for (int32_t i = 0; i < d->n_layers; i++) {
        snprintf(name, sizeof name, "layer.%d", i);
        json_array_append_new(layers, row_json(name, &d->layers[i]));
    }
    if (d->first >= 0)
        first = json_pack("{s:i, s:i, s:i, s:o, s:o}", "place", d->first, "token", d->token, "reference_token",
                          d->reference_token, "margin", number(d->margin), "excused", number(d->excused));
    return json_pack("{s:b, s:f, s:o, s:o, s:i, s:i, s:o}", "agrees", d->agrees, "bound", d->bound, "layers", layers,
                     "logits", row_json("logits", &d->logits), "differing_tokens", d->n_differing,
                     "clearly_differing_tokens", d->n_clear, "first_difference", first);
}

static json_t *contender_json(const cli_contender *c) {
    const pio_memory_plan *m = &c->memory;
    json_t *memory = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "weights", (json_int_t)m->weights, "kv_cache",
                               (json_int_t)m->cache, "workspace", (json_int_t)m->workspace, "states",
                               (json_int_t)m->states, "vision", (json_int_t)m->vision, "total", (json_int_t)m->total);
    json_t *tokens = json_array();
    for (int32_t i = 0; i < c->trace.n_tokens; i++) json_array_append_new(tokens, json_integer(c->trace.greedy[i]));
    return json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:f, s:o, s:o, s:o, s:o}", "name", c->name, "backend",
        pio_backend_name(c->caps.backend), "index", c->index, "device", c->caps.name, "detail", c->caps.detail,
        "weights", pio_dtype_name(c->options.weights), "compute", c->options.compute_f32 ? "f32" : "fast",
        "prefill_tokens_per_s", c->trace.prefill_tokens_per_s, "decode_tokens_per_s",
        c->trace.decode_tokens_per_s > 0 ? json_real(c->trace.decode_tokens_per_s) : json_null(), "memory_bytes",
        memory, "greedy_ids", tokens, "drift", c->drift.layers ? drift_json(&c->drift) : json_null());
}

json_t *cli_compare_json(const cli_comparison *all) {
    json_t *backends = json_array();
    bool agrees = true;
    for (int i = 0; i < all->n; i++) {
        json_array_append_new(backends, contender_json(&all->contenders[i]));
        agrees &= i == 0 || all->contenders[i].drift.agrees;
    }
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:o, s:b, s:s}", "version", PIO_VERSION, "model", all->directory,
                     "family", all->family, "prompt_tokens", all->contenders->trace.n_prompt, "tokens",
                     all->contenders->trace.n_tokens, "backends", backends, "agrees", agrees, "verdict", all->verdict);
}

/* ---- text ---- */

enum { CELL_BYTES = 48 };

typedef void (*cell_function)(const cli_contender *c, int32_t layer, char *text);

static void show_name(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    snprintf(text, CELL_BYTES, "%.47s", c->name);
}
static void show_prefill(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    snprintf(text, CELL_BYTES, "%.2f", c->trace.prefill_tokens_per_s);
}
static void show_decode(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    if (c->trace.decode_tokens_per_s > 0) snprintf(text, CELL_BYTES, "%.2f", c->trace.decode_tokens_per_s);
}
static void show_memory(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    pio_bytes_text(c->memory.total, text);
}
static void show_layer(const cli_contender *c, int32_t layer, char *text) {
    if (c->drift.layers) snprintf(text, CELL_BYTES, "%.2g", c->drift.layers[layer].median);
}
static void show_logits(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    if (c->drift.layers) snprintf(text, CELL_BYTES, "%.2g", c->drift.logits.median);
}
static void show_bound(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    if (c->drift.layers) snprintf(text, CELL_BYTES, "%.2g", c->drift.bound);
}
static void show_tokens(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    if (c->drift.layers) snprintf(text, CELL_BYTES, "%d of %d", c->drift.n_differing, c->trace.n_tokens);
}
static void show_first(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    if (c->drift.layers && c->drift.first >= 0) snprintf(text, CELL_BYTES, "at %d", c->drift.first);
}
static void show_margin(const cli_contender *c, int32_t layer, char *text) {
    (void)layer;
    if (c->drift.layers && c->drift.first >= 0)
        snprintf(text, CELL_BYTES, "%.3g, %.3g excused", c->drift.margin, c->drift.excused);
}

static void print_row(const cli_comparison *all, const char *name, cell_function show, int32_t layer) {
    char line[CLI_MAX_CONTENDERS * (CELL_BYTES + 2) + 32];
    int used = snprintf(line, sizeof line, "%-18s", name);
    for (int i = 0; i < all->n; i++) {
        char cell[CELL_BYTES] = "-";
        show(&all->contenders[i], layer, cell);
        used += snprintf(line + used, sizeof line - (size_t)used, "  %*s", PIO_MAX(22, (int)strlen(cell)), cell);
    }
    puts(line);
}

void cli_compare_print(const cli_comparison *all) {
    static const struct {
        const char *name;
        cell_function show;
        bool each_layer;
    } rows[] = {{"", show_name, false},
                {"prefill, tokens/s", show_prefill, false},
                {"decode, tokens/s", show_decode, false},
                {"memory", show_memory, false},
                {"drift, layer", show_layer, true},
                {"drift, logits", show_logits, false},
                {"bound", show_bound, false},
                {"differing tokens", show_tokens, false},
                {"the first", show_first, false},
                {"margin there", show_margin, false}};
    printf("%s: %d tokens of prompt, %d predicted; drift of the median token from %s\n\n", all->family,
           all->contenders->trace.n_prompt, all->contenders->trace.n_tokens, all->contenders->name);
    for (size_t r = 0; r < PIO_COUNT(rows); r++) {
        const int32_t n = rows[r].each_layer ? all->contenders[1].drift.n_layers : 1;
        for (int32_t i = 0; i < n; i++) {
            char name[40];
            snprintf(name, sizeof name, "%s %d", rows[r].name, i);
            print_row(all, rows[r].each_layer ? name : rows[r].name, rows[r].show, i);
        }
    }
    printf("\n%s\n", all->verdict);
}
