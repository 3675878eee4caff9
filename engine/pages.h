/* The pages of the KV caches: who uses which, and which full pages hold what, so that a later prompt that starts alike
 * uses them again. One numbering serves the caches of all layers. Page 0 is padding: nobody gets it.
 *
 * Only full pages are shared, and only once their tokens were computed. A page is known by its own tokens, the pictures
 * that they stand for and the page before it, compared token by token, so that two prompts share what is equal and
 * nothing else. */
#ifndef PIO_ENGINE_PAGES_H
#define PIO_ENGINE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pio_pages pio_pages;

/* What a page holds beside its tokens: a hash of the pictures for which some of them stand, 0 for text. */
typedef struct pio_page_content {
    uint64_t hash[2];
} pio_page_content;

pio_status pio_pages_create(int32_t n_pages, int32_t page_tokens, pio_pages **out, pio_error *error);
void pio_pages_destroy(pio_pages *pages);

/* Takes a page: a free one, else the one published and unused for longest. PIO_OUT_OF_MEMORY: all are in use. */
pio_status pio_pages_take(pio_pages *pages, int32_t *page, pio_error *error);

/* Gives up one use of a page. A published page keeps its contents until it is taken for something else. */
void pio_pages_release(pio_pages *pages, int32_t page);

/* Says that `page`, in use, now holds tokens[0 .. page_tokens), after page `parent` (0: at the start), which is
 * published. Returns the page to go on with: where an equal one is published already, a use of that one takes the place
 * of the use of `page`, so that what follows is known by a parent that is found. */
int32_t pio_pages_publish(pio_pages *pages, int32_t page, int32_t parent, const int32_t *tokens,
                          pio_page_content content);

/* Finds the published pages that the first tokens of a prompt fill, with their contents (NULL: text alone), marks each
 * as used once more, and returns how many. */
int32_t pio_pages_match(pio_pages *pages, const int32_t *tokens, const pio_page_content *contents, int32_t n_tokens,
                        int32_t *found);

int32_t pio_pages_free(const pio_pages *pages); /* how many could be taken now */

#endif
