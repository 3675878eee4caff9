/* The pictures of one sequence: which tokens stand for them, the rotary positions of all its tokens, what its pages
 * hold of them, and, once seen, the rows that take the tokens' places.
 *
 * A picture of gh x gw merged rows whose first token follows position p - 1 has the positions (p, p + row, p + column);
 * the text behind it goes on from p + the larger of gh and gw. */
#ifndef PIO_ENGINE_SIGHT_H
#define PIO_ENGINE_SIGHT_H

#include "engine/model.h"
#include "engine/pages.h"
#include "models/picture.h"

typedef struct pio_sight pio_sight;

/* The pictures, in their order, stand where the prompt has image or video tokens, one for each picture row, each
 * picture's together; a prompt without any has none of these tokens. Refused in one sentence: image tokens that do not
 * match the pictures, pictures for a model without eyes. */
pio_status pio_sight_check(const pio_model *model, const int32_t *ids, int32_t n_ids,
                           const pio_picture *const *pictures, int32_t n_pictures, pio_error *error);

/* Of a prompt with pictures that pio_sight_check let through; both are borrowed until it is destroyed. Nothing is seen
 * yet. */
pio_status pio_sight_create(pio_model *model, const int32_t *ids, int32_t n_ids, const pio_picture *const *pictures,
                            int32_t n_pictures, pio_sight **out, pio_error *error);
void pio_sight_destroy(pio_sight *sight); /* accepts NULL; no step that reads its rows is running any more */

/* Sees the pictures of tokens first .. first + n - 1 that were not seen yet, small ones behind them too, and lets go of
 * rows that only tokens before `first` stand for. */
pio_status pio_sight_look(pio_sight *sight, int32_t first, int32_t n, pio_error *error);

/* The three positions of a token, and the address of the row that takes its place: 0 for text. */
pio_addr pio_sight_token(const pio_sight *sight, int32_t token, int32_t positions[3]);

/* What each page of the prompt holds of pictures, the last one included that text may fill up; and page i, be it the
 * prompt's or not. Both accept NULL, a sequence without pictures. */
const pio_page_content *pio_sight_contents(const pio_sight *sight);
pio_page_content pio_sight_content(const pio_sight *sight, int32_t page);

#endif
