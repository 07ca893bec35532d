// Matrix transposes, naive to padded tiles, as in the tutorial: 32 by 32 tiles, 32 by 8 threads.
const int TILE_DIM = 32;
const int BLOCK_ROWS = 8;

extern "C" __global__ void copy_rows(float *odata, const float *idata, int width, int height)
{
    int x = blockIdx.x * TILE_DIM + threadIdx.x;
    int y = blockIdx.y * TILE_DIM + threadIdx.y;
    for (int j = 0; j < TILE_DIM; j += BLOCK_ROWS)
        if (x < width && y + j < height)
            odata[(y + j) * width + x] = idata[(y + j) * width + x];
}

extern "C" __global__ void transpose_naive(float *odata, const float *idata, int width, int height)
{
    int x = blockIdx.x * TILE_DIM + threadIdx.x;
    int y = blockIdx.y * TILE_DIM + threadIdx.y;
    for (int j = 0; j < TILE_DIM; j += BLOCK_ROWS)
        if (x < width && y + j < height)
            odata[x * height + (y + j)] = idata[(y + j) * width + x];
}

extern "C" __global__ void transpose_no_bank_conflicts(float *odata, const float *idata, int width,
                                                       int height)
{
    __shared__ float tile[TILE_DIM][TILE_DIM + 1];

    int x = blockIdx.x * TILE_DIM + threadIdx.x;
    int y = blockIdx.y * TILE_DIM + threadIdx.y;
    for (int j = 0; j < TILE_DIM; j += BLOCK_ROWS)
        if (x < width && y + j < height)
            tile[threadIdx.y + j][threadIdx.x] = idata[(y + j) * width + x];

    __syncthreads();

    x = blockIdx.y * TILE_DIM + threadIdx.x; // transpose block offset
    y = blockIdx.x * TILE_DIM + threadIdx.y;
    for (int j = 0; j < TILE_DIM; j += BLOCK_ROWS)
        if (x < height && y + j < width)
            odata[(y + j) * height + x] = tile[threadIdx.x][threadIdx.y + j];
}

// Batches of permuted axes: (a, b, c) to (c, a, b), one element a thread of a 3-D grid.
extern "C" __global__ void permute_201(const float* __restrict__ in, float* __restrict__ out, dim3 shape)
{
    unsigned c = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned b = blockIdx.y * blockDim.y + threadIdx.y;
    unsigned a = blockIdx.z * blockDim.z + threadIdx.z;
    if (a >= shape.z || b >= shape.y || c >= shape.x) return;
    out[(c * shape.z + a) * shape.y + b] = in[(a * shape.y + b) * shape.x + c];
}
