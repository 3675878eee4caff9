/* Loops that are compiled once for each of a few numbers: PIO_CASES_6(n, DO) is DO(n), written out for 1 to 6 so that
 * DO sees a constant, and nothing for any other n. */
#ifndef PIO_KERNELS_DIALECT_CASES_H
#define PIO_KERNELS_DIALECT_CASES_H

#define PIO_CASE(n, DO)                                                                                                \
    case n:                                                                                                            \
        DO(n);                                                                                                         \
        break;
#define PIO_CASES_TO_4(DO)  PIO_CASE(1, DO) PIO_CASE(2, DO) PIO_CASE(3, DO) PIO_CASE(4, DO)
#define PIO_CASES_TO_6(DO)  PIO_CASES_TO_4(DO) PIO_CASE(5, DO) PIO_CASE(6, DO)
#define PIO_CASES_TO_8(DO)  PIO_CASES_TO_6(DO) PIO_CASE(7, DO) PIO_CASE(8, DO)
#define PIO_CASES_TO_12(DO) PIO_CASES_TO_8(DO) PIO_CASE(9, DO) PIO_CASE(10, DO) PIO_CASE(11, DO) PIO_CASE(12, DO)
#define PIO_CASES(n, all)                                                                                              \
    switch (n) { all default : break; }

#define PIO_CASES_4(n, DO)  PIO_CASES(n, PIO_CASES_TO_4(DO))
#define PIO_CASES_6(n, DO)  PIO_CASES(n, PIO_CASES_TO_6(DO))
#define PIO_CASES_8(n, DO)  PIO_CASES(n, PIO_CASES_TO_8(DO))
#define PIO_CASES_12(n, DO) PIO_CASES(n, PIO_CASES_TO_12(DO))

#endif
