/* The headers of all families, the functions that every op has, and those of the rows. */
#ifndef PIO_KERNELS_FAMILIES_H
#define PIO_KERNELS_FAMILIES_H

#include "kernels/attention/attention.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/embed/embed.h"
#include "kernels/kernel.h"
#include "kernels/kv_cache/kv_cache.h"
#include "kernels/latent/latent.h"
#include "kernels/launch.h"
#include "kernels/linear/linear.h"
#include "kernels/moe/moe.h"
#include "kernels/norm/norm.h"
#include "kernels/probe/probe.h"
#include "kernels/rope/rope.h"
#include "kernels/sample/sample.h"
#include "kernels/vision/vision.h"

#define PIO_OP(NAME, family, op, stored, in_place)                                                                     \
    void pio_##op##_bind(const pio_call *call, void *args);                                                            \
    void pio_##op##_ref(const void *args, pio_worker *worker);                                                         \
    bool pio_##op##_case(pio_case_builder *builder, int index);
#include "kernels/ops.def"
#undef PIO_OP

/* Every CPU row's function. */
#define PIO_CPU(op, isa, variant, layout, acts, outs, least, most, rank, match, scratch, record, function)             \
    void function(const void *args, pio_worker *worker);
#define PIO_CPU_PORTABLE PIO_CPU
#define PIO_VULKAN(...)
#define PIO_VULKAN_PORTABLE(...)
#include "kernels/rows.def"
#undef PIO_CPU
#undef PIO_CPU_PORTABLE
#undef PIO_VULKAN
#undef PIO_VULKAN_PORTABLE

/* Every Vulkan row's shader: kernels/<family>/<shader>.comp. */
#define PIO_CPU(...)
#define PIO_CPU_PORTABLE(...)
#define PIO_VULKAN(op, feature, variant, layout, acts, outs, least, most, rank, match, scratch, record, launch,        \
                   shader)                                                                                             \
    extern const pio_code pio_spv_##shader;
#define PIO_VULKAN_PORTABLE PIO_VULKAN
#include "kernels/rows.def"
#undef PIO_CPU
#undef PIO_CPU_PORTABLE
#undef PIO_VULKAN
#undef PIO_VULKAN_PORTABLE

#endif
