/* What the passes share. */
#ifndef PIO_GRAPH_PASSES_H
#define PIO_GRAPH_PASSES_H

#include "graph/graph.h"
#include "kernels/select.h"

/* Bounds at which a pass asks whether rows exist: the rows of a step have one token, some, or many. */
enum { PIO_N_PROBES = 3 };
pio_bounds pio_probe_bounds(const pio_spec *spec, int probe);

/* The best row for `call` whose stored operand holds `dtype`, in whatever layout; NULL: none. */
const pio_row *pio_select_dtype(const pio_selector *selector, const pio_call *call, pio_dtype dtype);

/* Fuses what a step of these bounds has rows for, in a graph whose nodes are the plan's own. */
pio_status pio_fuse_step(const pio_spec *spec, const pio_selector *selector, const pio_bounds *bounds, pio_graph *graph,
                         pio_error *error);

/* The stored operand of `node`: its tensor, or NULL where the op has none. */
const pio_tensor_info *pio_node_stored(const pio_graph *graph, const pio_node *node);

#endif
