#include "kernels/case.h"
#include "kernels/families.h"

static const struct {
    int32_t bound, live, cols;
    float scale;
} shapes[] = {{1, 1, 9728, 1.0f}, {1, 1, 1, 1.0f},     {5, 3, 33, 0.1f},  {17, 17, 256, 20.0f},
              {8, 0, 64, 1.0f},   {2, 2, 1500, 1e-3f}, {3, 3, 160, 90.0f}};

bool pio_add_case(pio_case_builder *b, int index) {
    const int shape = index / 2;
    if ((size_t)shape >= PIO_COUNT(shapes)) return false;
    pio_case_name(b, "%d of %d rows of %d%s", shapes[shape].live, shapes[shape].bound, shapes[shape].cols,
                  index % 2 ? ", in place" : "");
    for (int in = 0; in < 2; in++)
        pio_case_acts(b, in, shapes[shape].bound, shapes[shape].live, shapes[shape].cols, shapes[shape].scale);
    if (index % 2)
        pio_case_output_in_place(b, 0, 0);
    else
        pio_case_output(b, 0, shapes[shape].bound, shapes[shape].live, shapes[shape].cols);
    pio_case_tolerance(b, 0, "one addition each");
    return true;
}

bool pio_swiglu_case(pio_case_builder *b, int index) {
    if ((size_t)index >= PIO_COUNT(shapes)) return false;
    pio_case_name(b, "%d of %d rows of %d", shapes[index].live, shapes[index].bound, shapes[index].cols);
    pio_case_acts(b, 0, shapes[index].bound, shapes[index].live, 2 * shapes[index].cols, shapes[index].scale);
    pio_case_output(b, 0, shapes[index].bound, shapes[index].live, shapes[index].cols);
    pio_case_tolerance(b, 1e-12, "an exponential within 2 units in the last place");
    return true;
}

bool pio_gelu_case(pio_case_builder *b, int index) {
    const int shape = index / 2;
    if ((size_t)shape >= PIO_COUNT(shapes)) return false;
    pio_case_name(b, "%d of %d rows of %d, %s", shapes[shape].live, shapes[shape].bound, shapes[shape].cols,
                  index % 2 ? "exact" : "by tanh");
    pio_case_call(b)->attrs.flags = index % 2 ? PIO_GELU_ERF : 0;
    pio_case_acts(b, 0, shapes[shape].bound, shapes[shape].live, shapes[shape].cols, shapes[shape].scale);
    pio_case_output(b, 0, shapes[shape].bound, shapes[shape].live, shapes[shape].cols);
    pio_case_tolerance(b, 1e-11, "far tails have the rounding of the exponential's argument, up to 16 units");
    return true;
}

bool pio_convert_case(pio_case_builder *b, int index) {
    static const pio_encoding encodings[] = {PIO_ENC_BF16, PIO_ENC_S8, PIO_ENC_F16};
    const int shape = index / (int)PIO_COUNT(encodings);
    if ((size_t)shape >= PIO_COUNT(shapes)) return false;
    const pio_encoding encoding = encodings[index % (int)PIO_COUNT(encodings)];
    pio_case_name(b, "%d of %d rows of %d to %s", shapes[shape].live, shapes[shape].bound, shapes[shape].cols,
                  pio_encoding_name(encoding));
    pio_case_acts(b, 0, shapes[shape].bound, shapes[shape].live, shapes[shape].cols, shapes[shape].scale);
    pio_case_output(b, 0, shapes[shape].bound, shapes[shape].live, shapes[shape].cols);
    pio_case_output_encoding(b, 0, encoding);
    if (pio_case_row(b)->backend == PIO_BACKEND_CPU || encoding != PIO_ENC_S8)
        pio_case_tolerance(b, 0, "the encoding is defined bit by bit");
    else
        pio_case_tolerance(b, 1e-7,
                           "a device's quotients may be off by units in the last place, and so some codes by one");
    return true;
}
