/* The choices of all tokens, in shared memory, and the order that they stand in. The includer has the argument struct `a`
 * of EXPERTS_* in its push constants. */
shared int choices[PIO_EXPERTS_FEW_PAIRS];

int expert_of(int c) {
    return I32(row_at(a.experts, c / a.n_chosen, a.experts_stride)).v[c % a.n_chosen];
}

/* A barrier has to follow. */
void load_choices(int n_pairs) {
    for (int c = int(gl_LocalInvocationID.x); c < n_pairs; c += int(gl_WorkGroupSize.x)) choices[c] = expert_of(c);
}

/* The place of choice c in the order of experts, which the subgroup looks for together. */
int place_of(int c, int n_pairs) {
    int before = 0;
    for (int other = int(gl_SubgroupInvocationID); other < n_pairs; other += int(gl_SubgroupSize))
        before += int(choices[other] < choices[c] || (choices[other] == choices[c] && other < c));
    return subgroupAdd(before);
}
