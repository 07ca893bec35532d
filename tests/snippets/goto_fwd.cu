// gives: 1 1 1 1 0 0 0 0
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    if (t > 3)
        goto done;
    o[t] = 1;
done:;
}
