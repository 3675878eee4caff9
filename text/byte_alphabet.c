/* The printable characters that byte-level files write for bytes: printable Latin-1 stands for itself, the other 68
 * bytes, in order, for U+0100 and the following (Radford et al. 2019, GPT-2's encoder). */
#include "text/bpe.h"

uint32_t pio_byte_character(unsigned char byte) {
    if ((byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    if (byte == 0xad) return 0x143;
    return 0x121u + (byte - 0x7fu);
}

int pio_character_byte(uint32_t code) {
    if ((code >= 0x21 && code <= 0x7e) || (code >= 0xa1 && code <= 0xff && code != 0xad)) return (int)code;
    if (code >= 0x100 && code <= 0x120) return (int)(code - 0x100);
    if (code >= 0x121 && code <= 0x142) return (int)(code - 0x121 + 0x7f);
    return code == 0x143 ? 0xad : -1;
}

bool pio_alphabet_to_bytes(const char *text, size_t n_bytes, char *out, size_t *n_out) {
    const char *end = text + n_bytes;
    char *to = out;
    while (text < end) {
        if (*text > 0x20 && *text < 0x7f) {
            *to++ = *text++;
            continue;
        }
        int byte = pio_character_byte(pio_utf8_next(&text));
        if (byte < 0) return false;
        *to++ = (char)byte;
    }
    *n_out = (size_t)(to - out);
    return true;
}

bool pio_bytes_to_alphabet(const char *bytes, size_t n_bytes, pio_text *out) {
    if (!pio_text_reserve(out, 2 * n_bytes)) return false;
    for (size_t i = 0; i < n_bytes; i++)
        out->n_bytes += (size_t)pio_utf8_encode(pio_byte_character((unsigned char)bytes[i]), out->bytes + out->n_bytes);
    return true;
}
