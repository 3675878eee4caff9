/* What a shader is told of its weights' layout, as a specialisation constant: the *_rows of layout.h and
 * layouts.h. */
#ifndef PIO_KERNELS_DTYPE_WEIGHTS_H
#define PIO_KERNELS_DTYPE_WEIGHTS_H

#define PIO_WEIGHTS_F32  0
#define PIO_WEIGHTS_BF16 1
#define PIO_WEIGHTS_Q8   2
#define PIO_WEIGHTS_Q4   3
#define PIO_WEIGHTS_F16S 4

#endif
