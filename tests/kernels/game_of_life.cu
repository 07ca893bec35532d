// Conway's game of life on a torus, and on a board whose rim is dead, with a tile in shared memory.
typedef unsigned char ubyte;

__device__ static int neighbours(const ubyte *cells, int width, int height, int x, int y)
{
    int count = 0;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx)
            if (dx != 0 || dy != 0) {
                int nx = (x + dx + width) % width;
                int ny = (y + dy + height) % height;
                count += cells[ny * width + nx];
            }
    return count;
}

extern "C" __global__ void life_torus(const ubyte *cells, ubyte *next, int width, int height)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;

    int alive = cells[y * width + x];
    switch (neighbours(cells, width, height, x, y)) {
    case 2:
        next[y * width + x] = alive;
        break;
    case 3:
        next[y * width + x] = 1;
        break;
    default:
        next[y * width + x] = 0;
    }
}

#define TILE 16
extern "C" __global__ void life_tiled(const ubyte* __restrict__ cells, ubyte* __restrict__ next,
                                      int width, int height)
{
    __shared__ ubyte tile[TILE + 2][TILE + 2];
    int x0 = blockIdx.x * TILE - 1, y0 = blockIdx.y * TILE - 1;
    for (int e = threadIdx.y * TILE + threadIdx.x; e < (TILE + 2) * (TILE + 2); e += TILE * TILE) {
        int tx = e % (TILE + 2), ty = e / (TILE + 2);
        int x = x0 + tx, y = y0 + ty;
        tile[ty][tx] = (x >= 0 && x < width && y >= 0 && y < height) ? cells[y * width + x] : 0;
    }
    __syncthreads();
    int x = x0 + 1 + threadIdx.x, y = y0 + 1 + threadIdx.y;
    if (x < width && y < height) {
        const int i = threadIdx.y + 1, j = threadIdx.x + 1;
        int n = tile[i - 1][j - 1] + tile[i - 1][j] + tile[i - 1][j + 1]
              + tile[i][j - 1]                      + tile[i][j + 1]
              + tile[i + 1][j - 1] + tile[i + 1][j] + tile[i + 1][j + 1];
        next[y * width + x] = n == 3 || (n == 2 && tile[i][j]);
    }
}
