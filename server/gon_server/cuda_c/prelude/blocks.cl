// Threads and blocks: who a thread is, barriers, fences.

//@ narrowed part
// A number of threads or blocks has 32 bits in CUDA, 64 here. A compiler that is told so takes
// indices of 64 bits that are made of it for neighbours in memory: such a kernel is seven times as
// fast on a processor.
#define GON_HOLDS(fact)
#ifdef __has_builtin
#if __has_builtin(__builtin_assume)
#undef GON_HOLDS
#define GON_HOLDS(fact) __builtin_assume(fact)
#endif
#endif
GON_FN uint gon_narrowed(size_t count) {
    GON_HOLDS(count <= 0xffffffffu);
    return (uint)count;
}

//@ threadIdx variable also=thread_index
GON_FN gon_uint3 gon_thread_index(void) {
    gon_uint3 v;
    v.x = gon_narrowed(get_local_id(0));
    v.y = gon_narrowed(get_local_id(1));
    v.z = gon_narrowed(get_local_id(2));
    return v;
}
#define gon_threadIdx (gon_thread_index())

//@ blockIdx variable also=block_index
GON_FN gon_uint3 gon_block_index(void) {
    gon_uint3 v;
    v.x = gon_narrowed(get_group_id(0));
    v.y = gon_narrowed(get_group_id(1));
    v.z = gon_narrowed(get_group_id(2));
    return v;
}
#define gon_blockIdx (gon_block_index())

//@ blockDim variable also=block_shape
GON_FN gon_dim3 gon_block_shape(void) {
    gon_dim3 v;
    v.x = gon_narrowed(get_local_size(0));
    v.y = gon_narrowed(get_local_size(1));
    v.z = gon_narrowed(get_local_size(2));
    return v;
}
#define gon_blockDim (gon_block_shape())

//@ gridDim variable also=grid_shape
GON_FN gon_dim3 gon_grid_shape(void) {
    gon_dim3 v;
    v.x = gon_narrowed(get_num_groups(0));
    v.y = gon_narrowed(get_num_groups(1));
    v.z = gon_narrowed(get_num_groups(2));
    return v;
}
#define gon_gridDim (gon_grid_shape())

//@ warpSize variable
#define gon_warpSize 32

//@ thread_rank part
GON_FN uint gon_thread_rank(void) {
    return (uint)(get_local_id(0) + get_local_size(0) * (get_local_id(1) + get_local_size(1) * get_local_id(2)));
}

//@ block_threads part
GON_FN uint gon_block_threads(void) {
    return (uint)(get_local_size(0) * get_local_size(1) * get_local_size(2));
}

//@ __syncthreads
GON_FN void gon___syncthreads(void) { barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE); }

//@ __syncthreads_count scratch also=count_true
//@+ cpp
GON_FN int gon___syncthreads_count(int predicate) {
    gon___syncthreads();
    int count = work_group_reduce_add(predicate ? 1 : 0);
    gon___syncthreads();
    return count;
}
//@+ c12
GON_FN int gon_count_true(local ulong *scratch, int predicate) {
    volatile local int *count = (volatile local int *)scratch;
    gon___syncthreads();
    if (gon_thread_rank() == 0) *count = 0;
    gon___syncthreads();
    if (predicate) atomic_inc(count);
    gon___syncthreads();
    int r = *count;
    gon___syncthreads();
    return r;
}
#define gon___syncthreads_count(...) gon_count_true(gon_warps, (__VA_ARGS__) != 0)

//@ __syncthreads_and scratch
//@+ cpp
GON_FN int gon___syncthreads_and(int predicate) {
    return gon___syncthreads_count(predicate) == (int)gon_block_threads();
}
//@+ c12
#define gon___syncthreads_and(...) (gon___syncthreads_count(__VA_ARGS__) == (int)gon_block_threads())

//@ __syncthreads_or scratch
//@+ cpp
GON_FN int gon___syncthreads_or(int predicate) { return gon___syncthreads_count(predicate) != 0; }
//@+ c12
#define gon___syncthreads_or(...) (gon___syncthreads_count(__VA_ARGS__) != 0)

//@ __threadfence_block
//@+ cpp
GON_FN void gon___threadfence_block(void) {
    atomic_work_item_fence(CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE, (memory_order)memory_order_seq_cst, (memory_scope)memory_scope_work_group);
}
//@+ c12
GON_FN void gon___threadfence_block(void) { mem_fence(CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE); }

//@ __threadfence
//@+ cpp
GON_FN void gon___threadfence(void) {
    atomic_work_item_fence(CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE, (memory_order)memory_order_seq_cst, (memory_scope)memory_scope_device);
}
//@+ c12
GON_FN void gon___threadfence(void) { mem_fence(CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE); }

//@ __threadfence_system
// The kernel's end is when a host sees what it wrote: there is nothing nearer than the device here.
GON_FN void gon___threadfence_system(void) { gon___threadfence(); }
