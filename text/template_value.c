#include "text/template_value.h"

#include "text/utf8.h"

const char *pio_tv_type_name(const pio_tv *v) {
    static const char *const names[PIO_TV_KINDS] = {[PIO_TV_MISSING] = "missing",
                                                    [PIO_TV_UNDEFINED] = "Undefined",
                                                    [PIO_TV_NONE] = "NoneType",
                                                    [PIO_TV_BOOL] = "bool",
                                                    [PIO_TV_INT] = "int",
                                                    [PIO_TV_FLOAT] = "float",
                                                    [PIO_TV_STR] = "str",
                                                    [PIO_TV_LIST] = "list",
                                                    [PIO_TV_TUPLE] = "tuple",
                                                    [PIO_TV_DICT] = "dict",
                                                    [PIO_TV_RANGE] = "range",
                                                    [PIO_TV_VIEW] = "dict view",
                                                    [PIO_TV_ITERATOR] = "generator",
                                                    [PIO_TV_NAMESPACE] = "Namespace",
                                                    [PIO_TV_MACRO] = "Macro",
                                                    [PIO_TV_METHOD] = "method",
                                                    [PIO_TV_FUNCTION] = "function",
                                                    [PIO_TV_LOOP] = "LoopContext",
                                                    [PIO_TV_CYCLER] = "Cycler",
                                                    [PIO_TV_JOINER] = "Joiner"};
    return v->kind < PIO_TV_KINDS ? names[v->kind] : "value";
}

int64_t pio_tv_count_chars(const char *bytes, size_t n_bytes) {
    int64_t n = 0;
    for (size_t i = 0; i < n_bytes; i++) n += (bytes[i] & 0xc0) != 0x80;
    return n;
}

size_t pio_tv_char_offset(const char *bytes, size_t n_bytes, int64_t at) {
    size_t i = 0;
    while (at > 0 && i < n_bytes) {
        i += pio_utf8_length((unsigned char)bytes[i]);
        at--;
    }
    return i < n_bytes ? i : n_bytes;
}
