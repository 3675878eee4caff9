#include "engine/pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

typedef struct page {
    int32_t uses;
    int32_t parent;       /* published: the page before it, 0: at the start */
    int32_t next;         /* in its hash bucket */
    int32_t older, newer; /* unused pages, least recently used first */
    uint32_t hash;
    bool published;
    pio_page_content content;
} page;

struct pio_pages {
    int32_t n_pages, page_tokens, n_free, n_buckets;
    page *pages;
    int32_t *buckets; /* first page of each, 0: none */
    int32_t *tokens;  /* [n_pages, page_tokens] of published pages */
};

/* Page 0 is also the head of the ring of unused pages: page 0's `newer` is the oldest one. */
static void unlink_unused(pio_pages *p, int32_t index) {
    page *it = &p->pages[index];
    p->pages[it->older].newer = it->newer;
    p->pages[it->newer].older = it->older;
    p->n_free--;
}

static void link_before(pio_pages *p, int32_t index, int32_t at) {
    page *it = &p->pages[index];
    it->newer = at;
    it->older = p->pages[at].older;
    p->pages[it->older].newer = index;
    p->pages[at].older = index;
    p->n_free++;
}

pio_status pio_pages_create(int32_t n_pages, int32_t page_tokens, pio_pages **out, pio_error *error) {
    *out = NULL;
    if (n_pages < 2 || page_tokens < 1)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "a cache needs at least 2 pages, not %d", n_pages);
    pio_pages *p = calloc(1, sizeof *p);
    if (!p) return pio_fail_memory(error, "the page table", sizeof *p);
    p->n_pages = n_pages;
    p->page_tokens = page_tokens;
    p->n_buckets = n_pages;
    p->pages = calloc((size_t)n_pages, sizeof *p->pages);
    p->buckets = calloc((size_t)p->n_buckets, sizeof *p->buckets);
    p->tokens = calloc((size_t)n_pages * (size_t)page_tokens, sizeof *p->tokens);
    if (!p->pages || !p->buckets || !p->tokens) {
        pio_pages_destroy(p);
        return pio_fail_memory(error, "the page table", (unsigned long long)n_pages * (unsigned)page_tokens * 4);
    }
    for (int32_t i = 1; i < n_pages; i++) link_before(p, i, 0);
    *out = p;
    return PIO_OK;
}

void pio_pages_destroy(pio_pages *p) {
    if (!p) return;
    free(p->pages);
    free(p->buckets);
    free(p->tokens);
    free(p);
}

/* FNV-1a over the parent, the content and the tokens. */
static uint32_t hash_of(int32_t parent, pio_page_content content, const int32_t *tokens, int32_t n) {
    uint64_t hash = (0xcbf29ce484222325u ^ (uint32_t)parent ^ content.hash[0]) * 0x100000001b3u;
    for (int32_t i = 0; i < n; i++) hash = (hash ^ (uint32_t)tokens[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32);
}

static int32_t find(const pio_pages *p, int32_t parent, pio_page_content content, const int32_t *tokens,
                    uint32_t hash) {
    for (int32_t i = p->buckets[hash % (uint32_t)p->n_buckets]; i; i = p->pages[i].next)
        if (p->pages[i].hash == hash && p->pages[i].parent == parent &&
            !memcmp(&p->pages[i].content, &content, sizeof content) &&
            !memcmp(p->tokens + (size_t)i * (size_t)p->page_tokens, tokens, sizeof *tokens * (size_t)p->page_tokens))
            return i;
    return 0;
}

static void unpublish(pio_pages *p, int32_t index) {
    int32_t *link = &p->buckets[p->pages[index].hash % (uint32_t)p->n_buckets];
    while (*link != index) link = &p->pages[*link].next;
    *link = p->pages[index].next;
    p->pages[index].published = false;
}

/* A page that follows `parent` may be found only while `parent` holds what it held, so what follows goes with it. */
static void unpublish_followers(pio_pages *p, int32_t parent) {
    for (int32_t i = 1; i < p->n_pages; i++) {
        if (!p->pages[i].published || p->pages[i].parent != parent) continue;
        unpublish(p, i);
        unpublish_followers(p, i);
    }
}

pio_status pio_pages_take(pio_pages *p, int32_t *out, pio_error *error) {
    int32_t index = p->pages[0].newer;
    *out = 0;
    if (!index)
        return pio_fail(
            error, PIO_OUT_OF_MEMORY,
            "all %d pages of the KV cache (%d tokens each) are in use: raise --context or ask for less at once",
            p->n_pages - 1, p->page_tokens);
    unlink_unused(p, index);
    if (p->pages[index].published) {
        unpublish(p, index);
        unpublish_followers(p, index);
    }
    p->pages[index].uses = 1;
    *out = index;
    return PIO_OK;
}

void pio_pages_release(pio_pages *p, int32_t index) {
    if (--p->pages[index].uses > 0) return;
    /* What holds nothing known is taken first. */
    link_before(p, index, p->pages[index].published ? 0 : p->pages[0].newer);
}

int32_t pio_pages_publish(pio_pages *p, int32_t index, int32_t parent, const int32_t *tokens,
                          pio_page_content content) {
    page *it = &p->pages[index];
    uint32_t hash = hash_of(parent, content, tokens, p->page_tokens);
    int32_t equal = it->published ? index : find(p, parent, content, tokens, hash);
    if (equal == index) return index;
    if (equal) {
        if (p->pages[equal].uses++ == 0) unlink_unused(p, equal);
        pio_pages_release(p, index);
        return equal;
    }
    it->published = true;
    it->parent = parent;
    it->content = content;
    it->hash = hash;
    it->next = p->buckets[hash % (uint32_t)p->n_buckets];
    p->buckets[hash % (uint32_t)p->n_buckets] = index;
    memcpy(p->tokens + (size_t)index * (size_t)p->page_tokens, tokens, sizeof *tokens * (size_t)p->page_tokens);
    return index;
}

int32_t pio_pages_match(pio_pages *p, const int32_t *tokens, const pio_page_content *contents, int32_t n_tokens,
                        int32_t *found) {
    int32_t n = 0, parent = 0;
    for (; (n + 1) * p->page_tokens <= n_tokens; n++) {
        const int32_t *of_page = tokens + n * p->page_tokens;
        const pio_page_content content = contents ? contents[n] : (pio_page_content){{0, 0}};
        int32_t index = find(p, parent, content, of_page, hash_of(parent, content, of_page, p->page_tokens));
        if (!index) break;
        if (p->pages[index].uses++ == 0) unlink_unused(p, index);
        found[n] = parent = index;
    }
    return n;
}

int32_t pio_pages_free(const pio_pages *p) {
    return p->n_free;
}
