/* What `compare` found, as compare.c makes it and compare_show.c shows it. */
#ifndef PIO_APPS_CLI_COMPARE_H
#define PIO_APPS_CLI_COMPARE_H

#include "apps/cli/cli.h"
#include "engine/drift.h"

enum { CLI_MAX_CONTENDERS = 16, CLI_CONTENDER_BYTES = 256 };

/* An entry of --backends and what became of it. */
typedef struct cli_contender {
    char name[CLI_CONTENDER_BYTES]; /* as it was given: "cpu:weights=q8" */
    pio_config config;              /* the command's settings, and the entry's above them */

    pio_engine_options options; /* as the model was opened */
    pio_device_caps caps;
    int index;              /* of the device */
    pio_memory_plan memory; /* without what comparing takes */
    pio_trace trace;        /* of others than the reference without residuals and logits once they are compared */
    pio_drift drift;        /* from the first one, which has none */
} cli_contender;

typedef struct cli_comparison {
    char directory[4096];
    const char *family;
    cli_contender contenders[CLI_MAX_CONTENDERS];
    int n;
    char verdict[640];
} cli_comparison;

/* Splits --backends. Wrong entries and settings are named in *error. */
pio_status cli_contenders_read(const cli_options *options, cli_comparison *out, pio_error *error);

/* The sentence of a comparison that is complete, into its `verdict`; whether all agree. */
bool cli_compare_judge(cli_comparison *comparison);

json_t *cli_compare_json(const cli_comparison *comparison); /* a new reference; NULL: no memory */
void cli_compare_print(const cli_comparison *comparison);

#endif
