#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

typedef struct writer {
    char *text;
    size_t bytes, used;
} writer;

static void put(writer *w, const char *format, ...) PIO_PRINTF(2, 3);
static void put(writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    size_t room = w->used < w->bytes ? w->bytes - w->used : 0;
    int n = vsnprintf(room ? w->text + w->used : NULL, room, format, args);
    va_end(args);
    if (n > 0) w->used += (size_t)n;
}

static void put_tensor(writer *w, const pio_graph *graph, pio_tensor t) {
    static const char *const symbols[PIO_SYMBOL_COUNT] = {"", "T", "O", "C", "P", "M"};
    if (t == PIO_NO_TENSOR) {
        put(w, " -");
        return;
    }
    const pio_tensor_info *info = &graph->tensors[t];
    put(w, " %%%d:%s[", t, info->name);
    if (info->rows.symbol == PIO_FIXED)
        put(w, "%d", info->rows.plus);
    else
        put(w, "%s", symbols[info->rows.symbol]);
    put(w, ",%d]", info->cols);
}

size_t pio_graph_dump(const pio_spec *spec, const pio_graph *graph, char *text, size_t bytes) {
    (void)spec;
    writer w = {text, bytes, 0};
    put(&w, "graph %s\n", graph->name);
    for (int32_t i = 0; i < graph->n_nodes; i++) {
        const pio_node *node = &graph->nodes[i];
        put(&w, "%4d ", i);
        if (node->layer >= 0) put(&w, "layer %d ", node->layer);
        put(&w, "%s", pio_op_get(node->op)->name);
        for (int j = 0; j < node->n_in; j++) put_tensor(&w, graph, node->in[j]);
        put(&w, " ->");
        for (int j = 0; j < node->n_out; j++) put_tensor(&w, graph, node->out[j]);
        put(&w, "\n");
    }
    return w.used;
}
