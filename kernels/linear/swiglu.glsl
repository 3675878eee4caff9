/* SwiGLU in shaders: where a column's gate stands among the rows of w, PIO_SWIGLU_BLOCK before its up, and the product. */
int gate_row(int column) {
    return column / PIO_SWIGLU_BLOCK * 2 * PIO_SWIGLU_BLOCK + column % PIO_SWIGLU_BLOCK;
}

float silu_times(float gate, float up) {
    return gate / (1 + exp(-gate)) * up;
}
