// Cooperative groups: a block, tiles of a warp, and what of a warp has come along.

//@ cooperative_groups namespace cpp subgroups warps members=thread_group,thread_block,this_thread_block,thread_block_tile,tiled_partition,coalesced_group,coalesced_threads,sync,thread_rank,group_size,reduce,inclusive_scan,exclusive_scan,plus,less,greater,bit_and,bit_or,bit_xor
namespace gon_cooperative_groups {
struct thread_block {
    void sync() const { gon___syncthreads(); }
    static uint thread_rank() { return gon_thread_rank(); }
    static uint size() { return gon_block_threads(); }
    static uint num_threads() { return gon_block_threads(); }
    static gon_dim3 group_index() { return gon_dim3(gon_blockIdx); }
    static gon_dim3 thread_index() { return gon_dim3(gon_threadIdx); }
    static gon_dim3 group_dim() { return gon_blockDim; }
    static gon_dim3 dim_threads() { return gon_blockDim; }
};
static inline thread_block this_thread_block() { return thread_block(); }

// What a tile is a part of says nothing here: any stands for any.
template <uint Size, class Parent = void> struct thread_block_tile {
    thread_block_tile() {}
    template <class Other> thread_block_tile(const thread_block_tile<Size, Other> &) {}
    static_assert(Size <= 32 && (Size & (Size - 1)) == 0, "a tile has 1, 2, 4, 8, 16 or 32 threads here");
    static uint thread_rank() { return gon_lane() & (Size - 1); }
    static constexpr uint size() { return Size; }
    static constexpr uint num_threads() { return Size; }
    static uint meta_group_rank() { return gon_thread_rank() / Size; }
    static uint meta_group_size() { return (gon_block_threads() + Size - 1) / Size; }
    static uint mask() { return (Size == 32 ? 0xffffffffu : (1u << (Size & 31)) - 1u) << (gon_lane() & ~(Size - 1)); }
    void sync() const { gon___syncwarp(mask()); }
    template <class T> T shfl(T value, int rank) const { return gon___shfl_sync(mask(), value, rank, Size); }
    template <class T> T shfl_up(T value, uint by) const { return gon___shfl_up_sync(mask(), value, by, Size); }
    template <class T> T shfl_down(T value, uint by) const { return gon___shfl_down_sync(mask(), value, by, Size); }
    template <class T> T shfl_xor(T value, uint with) const { return gon___shfl_xor_sync(mask(), value, with, Size); }
    int any(int predicate) const { return gon___any_sync(mask(), predicate); }
    int all(int predicate) const { return gon___all_sync(mask(), predicate); }
    uint ballot(int predicate) const { return gon___ballot_sync(mask(), predicate) >> (gon_lane() & ~(Size - 1)); }
    template <class T> uint match_any(T value) const {
        return gon___match_any_sync(mask(), value) >> (gon_lane() & ~(Size - 1));
    }
};
template <uint Size, class Parent> static inline thread_block_tile<Size> tiled_partition(const Parent &) {
    return thread_block_tile<Size>();
}

struct coalesced_group {
    uint members;
    uint size() const { return popcount(members); }
    uint num_threads() const { return popcount(members); }
    uint thread_rank() const { return popcount(members & ((1u << gon_lane()) - 1u)); }
    uint lane_of(uint rank) const { return gon___fns(members, 0u, (int)rank + 1); }
    void sync() const { gon___syncwarp(members); }
    template <class T> T shfl(T value, uint rank) const { return gon___shfl_sync(members, value, (int)lane_of(rank)); }
    template <class T> T shfl_up(T value, uint by) const {
        uint rank = thread_rank();
        return gon___shfl_sync(members, value, (int)(by > rank ? gon_lane() : lane_of(rank - by)));
    }
    template <class T> T shfl_down(T value, uint by) const {
        uint rank = thread_rank();
        return gon___shfl_sync(members, value, (int)(rank + by >= size() ? gon_lane() : lane_of(rank + by)));
    }
    int any(int predicate) const { return gon___any_sync(members, predicate); }
    int all(int predicate) const { return gon___all_sync(members, predicate); }
    uint ballot(int predicate) const {
        uint lanes = gon___ballot_sync(members, predicate), r = 0u, rank = 0u;
        for (uint left = members; left; left &= left - 1u, rank++) {
            r |= (lanes & left & (0u - left)) ? 1u << rank : 0u;
        }
        return r;
    }
};
static inline coalesced_group coalesced_threads() {
    coalesced_group group;
    group.members = gon___activemask();
    return group;
}

// Any of these, as a value: `lanes` are those of a warp's part, none for a block.
struct thread_group {
    uint lanes;
    thread_group(const thread_block &) : lanes(0u) {}
    template <uint Size, class Parent> thread_group(const thread_block_tile<Size, Parent> &tile) : lanes(tile.mask()) {}
    thread_group(const coalesced_group &group) : lanes(group.members) {}
    explicit thread_group(uint lanes_) : lanes(lanes_) {}
    uint size() const { return lanes ? popcount(lanes) : gon_block_threads(); }
    uint num_threads() const { return size(); }
    uint thread_rank() const { return lanes ? popcount(lanes & ((1u << gon_lane()) - 1u)) : gon_thread_rank(); }
    void sync() const {
        if (lanes) {
            gon___syncwarp(lanes);
        } else {
            gon___syncthreads();
        }
    }
};
static inline thread_group tiled_partition(const thread_group &, uint size) {
    uint all = size >= 32u ? 0xffffffffu : (1u << size) - 1u;
    return thread_group(all << (gon_lane() & ~(size - 1u)));
}

template <class Group> static inline void sync(const Group &group) { group.sync(); }
template <class Group> static inline uint thread_rank(const Group &group) { return group.thread_rank(); }
template <class Group> static inline uint group_size(const Group &group) { return group.size(); }

template <class T> struct plus { T operator()(T a, T b) const { return a + b; } };
template <class T> struct less { T operator()(T a, T b) const { return b < a ? b : a; } };
template <class T> struct greater { T operator()(T a, T b) const { return a < b ? b : a; } };
template <class T> struct bit_and { T operator()(T a, T b) const { return a & b; } };
template <class T> struct bit_or { T operator()(T a, T b) const { return a | b; } };
template <class T> struct bit_xor { T operator()(T a, T b) const { return a ^ b; } };

template <class Group, class T, class Op> static inline T inclusive_scan(const Group &group, T value, Op op) {
    uint rank = group.thread_rank();
    for (uint by = 1; by < group.size(); by *= 2) {
        T before = group.shfl_up(value, by);
        if (rank >= by) value = op(before, value);
    }
    return value;
}
template <class Group, class T> static inline T inclusive_scan(const Group &group, T value) {
    return inclusive_scan(group, value, plus<T>());
}
template <class Group, class T, class Op> static inline T exclusive_scan(const Group &group, T value, Op op) {
    T before = group.shfl_up(inclusive_scan(group, value, op), 1);
    return group.thread_rank() == 0 ? T() : before;
}
template <class Group, class T> static inline T exclusive_scan(const Group &group, T value) {
    return exclusive_scan(group, value, plus<T>());
}
template <class Group, class T, class Op> static inline T reduce(const Group &group, T value, Op op) {
    return group.shfl(inclusive_scan(group, value, op), group.size() - 1);
}
}
