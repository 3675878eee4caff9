/* Exif data are a TIFF file of their own (Exif 2.32, section 4.5): a header that says the byte order, and a directory
 * of 12-byte entries. Only the orientation is wanted, and it stands in the first directory. */
#include <string.h>

#include "io/image_format.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

typedef struct tiff {
    const uint8_t *bytes;
    size_t n_bytes;
    bool big_endian;
} tiff;

static uint32_t read_16(const tiff *t, size_t at) {
    const uint8_t *p = t->bytes + at;
    return t->big_endian ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t read_32(const tiff *t, size_t at) {
    return t->big_endian ? pio_read_be32(t->bytes + at) : pio_read_le32(t->bytes + at);
}

int pio_exif_orientation(const uint8_t *bytes, size_t n_bytes) {
    if (n_bytes >= 6 && !memcmp(bytes, "Exif\0", 6)) bytes += 6, n_bytes -= 6;
    const tiff t = {bytes, n_bytes, n_bytes > 0 && bytes[0] == 'M'};
    if (n_bytes < 8 || (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0)) return 1;
    size_t at = read_32(&t, 4);
    if (at > n_bytes - 2) return 1;
    uint32_t n_entries = read_16(&t, at);
    for (at += 2; n_entries > 0 && n_bytes - at >= ENTRY_BYTES; n_entries--, at += ENTRY_BYTES) {
        if (read_16(&t, at) != TAG_ORIENTATION) continue;
        const uint32_t type = read_16(&t, at + 2);
        const uint32_t value = type == TYPE_SHORT ? read_16(&t, at + 8) : type == TYPE_LONG ? read_32(&t, at + 8) : 0;
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}
