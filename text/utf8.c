#include "text/utf8.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

void pio_text_free(pio_text *text) {
    free(text->bytes);
    *text = (pio_text){0};
}

bool pio_text_reserve(pio_text *text, size_t more) {
    size_t wanted;
    if (PIO_ADD_OVERFLOWS(text->n_bytes, more, &wanted)) return false;
    if (wanted <= text->capacity) return true;
    size_t capacity = PIO_MAX(wanted, text->capacity + text->capacity / 2);
    capacity = PIO_MAX(capacity, (size_t)64);
    char *grown = realloc(text->bytes, capacity);
    if (!grown) return false;
    text->bytes = grown;
    text->capacity = capacity;
    return true;
}

bool pio_text_append(pio_text *text, const char *bytes, size_t n_bytes) {
    if (!n_bytes) return true;
    if (!pio_text_reserve(text, n_bytes)) return false;
    memcpy(text->bytes + text->n_bytes, bytes, n_bytes);
    text->n_bytes += n_bytes;
    return true;
}

/* The length that a first byte promises (0: it begins nothing) and the range of the second byte. */
static int promised(unsigned char lead, unsigned char *low, unsigned char *high) {
    *low = 0x80, *high = 0xbf;
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0) *low = 0xa0;
        if (lead == 0xed) *high = 0x9f;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0) *low = 0x90;
        if (lead == 0xf4) *high = 0x8f;
        return 4;
    }
    return 0;
}

/* How many bytes at `at` are a prefix of a well-formed character; *n is the length of that character. */
static int good_prefix(const char *at, const char *end, int *n) {
    const unsigned char *p = (const unsigned char *)at;
    unsigned char low, high;
    *n = promised(p[0], &low, &high);
    if (!*n) return 0;
    int good = 1;
    while (good < *n && end - at > good) {
        unsigned char byte = p[good];
        if (good == 1 ? byte < low || byte > high : (byte & 0xc0) != 0x80) break;
        good++;
    }
    return good;
}

int pio_utf8_decode(const char *at, const char *end, uint32_t *code) {
    int n, good = good_prefix(at, end, &n);
    if (!n || good < n) return 0;
    *code = pio_utf8_next(&at);
    return n;
}

int pio_utf8_bad_length(const char *at, const char *end, bool *cut) {
    int n, good = good_prefix(at, end, &n);
    *cut = good && good < n && at + good == end;
    return PIO_MAX(good, 1);
}

int pio_utf8_encode(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t pio_utf8_valid_prefix(const char *bytes, size_t n_bytes) {
    if (!n_bytes) return 0;
    const char *at = bytes, *end = bytes + n_bytes;
    while (at < end) {
        while (end - at >= 8) { /* ASCII by eights */
            uint64_t word;
            memcpy(&word, at, 8);
            if (word & 0x8080808080808080u) break;
            at += 8;
        }
        if (at == end) break;
        if (!(*at & 0x80)) {
            at++;
            continue;
        }
        int n, good = good_prefix(at, end, &n);
        if (!n || good < n) break;
        at += n;
    }
    return (size_t)(at - bytes);
}

/* All of `bytes` but what *left bytes at the end may still become; `whole`: nothing more will come. */
static bool append_known(pio_text *out, const char *bytes, size_t n_bytes, bool whole, size_t *left) {
    *left = 0;
    if (!n_bytes) return true;
    const char *at = bytes, *end = bytes + n_bytes;
    while (at < end) {
        size_t good = pio_utf8_valid_prefix(at, (size_t)(end - at));
        if (!pio_text_append(out, at, good)) return false;
        at += good;
        if (at == end) break;
        bool cut;
        int bad = pio_utf8_bad_length(at, end, &cut);
        if (cut && !whole) break;
        if (!pio_text_append(out, PIO_UTF8_REPLACEMENT, 3)) return false;
        at += bad;
    }
    *left = (size_t)(end - at);
    return true;
}

bool pio_utf8_append_lossy(pio_text *out, const char *bytes, size_t n_bytes) {
    size_t left;
    return append_known(out, bytes, n_bytes, true, &left);
}

pio_status pio_utf8_gate_push(pio_utf8_gate *gate, const char *bytes, size_t n_bytes, pio_text *out, pio_error *error) {
    const size_t before = out->n_bytes;
    if (!n_bytes) return PIO_OK;
    /* What was held and the first new bytes: a character that begins in the held bytes ends within these. */
    char seam[8];
    size_t n_seam = (size_t)gate->n_held, taken = 0, left = 0;
    if (n_seam) {
        memcpy(seam, gate->held, n_seam);
        while (taken < n_bytes && n_seam < 4) {
            seam[n_seam++] = bytes[taken++];
            int n;
            int good = good_prefix(seam, seam + n_seam, &n);
            if (good < (int)n_seam) { /* the new byte does not continue it: it is looked at again, by itself */
                n_seam--, taken--;
                break;
            }
            if (good == n) break;
        }
        int n;
        bool whole = good_prefix(seam, seam + n_seam, &n) == n || taken < n_bytes;
        if (!append_known(out, seam, n_seam, whole, &left)) goto fail;
        if (left) { /* still not complete, and all bytes are taken */
            memcpy(gate->held, seam, n_seam);
            gate->n_held = (int)n_seam;
            return PIO_OK;
        }
    }
    if (!append_known(out, bytes + taken, n_bytes - taken, false, &left)) goto fail;
    if (left) memcpy(gate->held, bytes + n_bytes - left, left);
    gate->n_held = (int)left;
    return PIO_OK;
fail:
    out->n_bytes = before;
    return pio_fail_memory(error, "the output text", n_bytes);
}

pio_status pio_utf8_gate_finish(pio_utf8_gate *gate, pio_text *out, pio_error *error) {
    if (gate->n_held && !pio_text_append(out, PIO_UTF8_REPLACEMENT, 3))
        return pio_fail_memory(error, "the output text", 3);
    gate->n_held = 0;
    return PIO_OK;
}
