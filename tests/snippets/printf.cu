// gives: 1
extern "C" __global__ void k(int *o) {
    if (threadIdx.x == 0)
        printf("%d %u %lld %f %s %c%%\n", 1, 2u, 3ll, 4.0, "five", '6');
    o[threadIdx.x] = 1;
}
