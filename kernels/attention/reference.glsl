/* What attention by tiles shares: sums are relative to a reference, which follows the scores in leaps, and numbers are
 * multiplied by powers of two, so that they fit float16; see attention_tile.glsl. The includer has NO_SCORE, below every
 * score. */
const float SLACK = 8;

float power_of_two(int exponent) {
    return uintBitsToFloat(uint(clamp(exponent, -126, 127) + 127) << 23);
}

/* Sets the reference anew where a row's largest score is over it by SLACK; what was summed is to be multiplied by the
 * result, and the total is. */
float raise_reference(float largest, inout float reference, inout float total) {
    if (!(largest > reference + SLACK)) return 1;
    float shrink = exp2(reference - largest);
    total *= shrink;
    reference = largest;
    return shrink;
}

float weight_of(float score, float reference) {
    return score == NO_SCORE ? 0 : exp2(score - reference);
}
