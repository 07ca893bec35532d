// refused: grid
#include <cooperative_groups.h>
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    cooperative_groups::grid_group g = cooperative_groups::this_grid();
    g.sync();
}
