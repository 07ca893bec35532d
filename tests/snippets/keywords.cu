// gives: 31
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int kernel = 1, global = 2, local = 3, constant = 4, private_ = 5, half = 6, uint = 7;
    struct S {
        int generic;
        int pipe;
    } s = {1, 2};
    o[t] = kernel + global + local + constant + private_ + half + uint + s.generic + s.pipe;
}
