/* What ROUTE does for one token, by the threads of a workgroup; the argument struct `a` is ROUTE's or ROUTER's. Who is
 * chosen is found by counting: each thread counts who beats its own experts, so that nobody waits for anybody. */
shared float score[PIO_ROUTE_EXPERTS_MAX], rank[PIO_ROUTE_EXPERTS_MAX], group_rank[PIO_ROUTE_EXPERTS_MAX];
shared float chosen_score[PIO_ROUTE_EXPERTS_MAX];

const float LEAST = -3e38;

/* Logits that other workgroups may have written. */
layout(buffer_reference, scalar, buffer_reference_align = 4) coherent buffer logit_row { float v[]; };

/* Ranks that are no numbers become the least: damaged logits lead to some experts all the same. */
void score_all(logit_row logits, int lane) {
    bool sigmoid = (a.flags & PIO_ROUTE_SIGMOID) != 0;
    float largest = LEAST, total = 0;
    for (int e = lane; e < a.n_experts; e += GROUP) {
        score[e] = logits.v[e];
        largest = max(largest, score[e]);
    }
    if (!sigmoid) {
        largest = group_max(largest);
        for (int e = lane; e < a.n_experts; e += GROUP) total += exp(score[e] - largest);
        total = group_sum(total);
    }
    for (int e = lane; e < a.n_experts; e += GROUP) {
        score[e] = sigmoid ? 1 / (1 + exp(-score[e])) : exp(score[e] - largest) / total;
        float own = score[e] + (a.bias == 0ul ? 0 : F32(a.bias).v[e]);
        rank[e] = own > LEAST ? own : LEAST;
    }
    barrier();
}

/* Experts of groups that are not among the best are out. */
void leave_best_groups(int lane) {
    int size = a.n_experts / a.n_groups;
    if (a.n_groups == 1) return;
    for (int g = lane; g < a.n_groups; g += GROUP) {
        float first = LEAST, second = LEAST;
        for (int e = g * size; e < (g + 1) * size; e++) {
            second = max(second, min(first, rank[e]));
            first = max(first, rank[e]);
        }
        group_rank[g] = first + second;
    }
    barrier();
    for (int e = lane; e < a.n_experts; e += GROUP) {
        int g = e / size, better = 0;
        for (int other = 0; other < a.n_groups; other++)
            if (group_rank[other] > group_rank[g] || (group_rank[other] == group_rank[g] && other < g)) better++;
        if (better >= a.n_top_groups) rank[e] = LEAST;
    }
    barrier();
}

/* How many experts stand before expert e. */
int place_of(int e) {
    float own = rank[e];
    int better = 0;
    for (int other = 0; other < e; other++) better += int(rank[other] >= own);
    for (int other = e + 1; other < a.n_experts; other++) better += int(rank[other] > own);
    return better;
}

/* A token past the live ones has no experts. */
void route_nowhere(int t, int lane) {
    I32 experts = I32(row_at(a.experts, t, a.experts_stride));
    for (int j = lane; j < a.n_chosen + a.n_shared; j += GROUP) experts.v[j] = -1;
}

void route(int t, uint64_t logits, int lane) {
    I32 experts = I32(row_at(a.experts, t, a.experts_stride));
    F32 weights = F32(row_at(a.weights, t, a.weights_stride));
    score_all(logit_row(logits), lane);
    leave_best_groups(lane);
    for (int e = lane; e < a.n_experts; e += GROUP) {
        int place = place_of(e);
        if (place >= a.n_chosen) continue;
        experts.v[place] = e;
        chosen_score[place] = score[e];
    }
    barrier();
    float sum = 0;
    for (int j = 0; j < a.n_chosen; j++) sum += chosen_score[j];
    float scale = (a.flags & PIO_ROUTE_NORMALISE) != 0 ? a.scale / (sum + a.eps) : a.scale;
    for (int j = lane; j < a.n_chosen; j += GROUP) weights.v[j] = chosen_score[j] * scale;
    for (int j = lane; j < a.n_shared; j += GROUP) {
        experts.v[a.n_chosen + j] = a.n_experts + j;
        weights.v[a.n_chosen + j] = 1;
    }
}
