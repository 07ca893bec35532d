// Warps are sub-groups of 32: each kernel that uses one of these demands that size.

//@ lane part
GON_FN uint gon_lane(void) { return get_sub_group_local_id(); }

//@ __ballot_sync subgroups warps
GON_FN uint gon___ballot_sync(uint mask, int predicate) { return sub_group_ballot(predicate).x & mask; }

//@ __activemask subgroups warps
GON_FN uint gon___activemask(void) { return sub_group_ballot(1).x; }

//@ __any_sync subgroups warps
GON_FN int gon___any_sync(uint mask, int predicate) { return gon___ballot_sync(mask, predicate) != 0u; }

//@ __all_sync subgroups warps
GON_FN int gon___all_sync(uint mask, int predicate) { return gon___ballot_sync(mask, !predicate) == 0u; }

//@ __uni_sync subgroups warps
GON_FN int gon___uni_sync(uint mask, int predicate) {
    return gon___any_sync(mask, predicate) == gon___all_sync(mask, predicate);
}

//@ __syncwarp subgroups warps
GON_FN void gon___syncwarp(uint mask) { sub_group_barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE); }
GON_FN void gon___syncwarp(void) { sub_group_barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE); }

//@ from_lane part
// A lane that the last, short warp of a block lacks gives the reader's own value.
GON_FN uint gon_from_lane(uint lane) { return lane < get_sub_group_size() ? lane : gon_lane(); }

//@ shuffle_source part
GON_FN uint gon_shuffle_source(int lane, int width) {
    return gon_from_lane((gon_lane() & ~(uint)(width - 1)) | ((uint)lane & (uint)(width - 1)));
}

//@ shuffle_up_source part
GON_FN uint gon_shuffle_up_source(uint by, int width) {
    uint lane = gon_lane(), place = lane & (uint)(width - 1);
    return by > place ? lane : lane - by;
}

//@ shuffle_down_source part
GON_FN uint gon_shuffle_down_source(uint by, int width) {
    uint lane = gon_lane(), place = lane & (uint)(width - 1);
    return by >= (uint)width - place ? lane : gon_from_lane(lane + by);
}

//@ shuffle_xor_source part
GON_FN uint gon_shuffle_xor_source(int with, int width) {
    uint lane = gon_lane(), other = lane ^ (uint)with;
    return other > (lane | (uint)(width - 1)) ? lane : gon_from_lane(other & 31u);
}

//@ __match_any_sync subgroups warps
GON_FN uint gon___match_any_sync(uint mask, ulong value) {
    uint same = 0u;
    for (uint left = mask & gon___activemask(); left; left &= left - 1u) {
        uint lane = 31u - clz(left & (0u - left));
        same |= sub_group_shuffle(value, lane) == value ? 1u << lane : 0u;
    }
    return same;
}
GON_FN uint gon___match_any_sync(uint mask, long value) { return gon___match_any_sync(mask, (ulong)value); }
GON_FN uint gon___match_any_sync(uint mask, uint value) { return gon___match_any_sync(mask, (ulong)value); }
GON_FN uint gon___match_any_sync(uint mask, int value) { return gon___match_any_sync(mask, (ulong)(uint)value); }
GON_FN uint gon___match_any_sync(uint mask, float value) { return gon___match_any_sync(mask, (ulong)as_uint(value)); }
//@+ fp64
GON_FN uint gon___match_any_sync(uint mask, double value) { return gon___match_any_sync(mask, as_ulong(value)); }

//@ match_all part subgroups
GON_FN uint gon_match_all(uint mask, ulong value) {
    uint there = mask & gon___activemask();
    uint lane = 31u - clz(there & (0u - there));
    return gon___all_sync(mask, sub_group_shuffle(value, lane) == value) ? mask : 0u;
}

//@ __match_all_sync subgroups warps
GON_FN uint gon___match_all_sync(uint mask, ulong value, GON_AS int *predicate) {
    uint same = gon_match_all(mask, value);
    *predicate = same != 0u;
    return same;
}
GON_FN uint gon___match_all_sync(uint mask, long value, GON_AS int *predicate) {
    return gon___match_all_sync(mask, (ulong)value, predicate);
}
GON_FN uint gon___match_all_sync(uint mask, uint value, GON_AS int *predicate) {
    return gon___match_all_sync(mask, (ulong)value, predicate);
}
GON_FN uint gon___match_all_sync(uint mask, int value, GON_AS int *predicate) {
    return gon___match_all_sync(mask, (ulong)(uint)value, predicate);
}
GON_FN uint gon___match_all_sync(uint mask, float value, GON_AS int *predicate) {
    return gon___match_all_sync(mask, (ulong)as_uint(value), predicate);
}
//@+ fp64
GON_FN uint gon___match_all_sync(uint mask, double value, GON_AS int *predicate) {
    return gon___match_all_sync(mask, as_ulong(value), predicate);
}
