// gives: 3
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    int gon_x = 1, gon_globals = 2;
    o[t] = gon_x + gon_globals;
}
