// Stencils in one, two and three dimensions.
#define RADIUS 3
#define BLOCK_SIZE 64

extern "C" __global__ void stencil_1d(const int *in, int *out, int n)
{
    __shared__ int temp[BLOCK_SIZE + 2 * RADIUS];
    int gindex = threadIdx.x + blockIdx.x * blockDim.x;
    int lindex = threadIdx.x + RADIUS;

    // Read input elements into shared memory; beyond the ends there are zeros
    temp[lindex] = gindex < n ? in[gindex] : 0;
    if (threadIdx.x < RADIUS) {
        temp[lindex - RADIUS] = gindex - RADIUS >= 0 ? in[gindex - RADIUS] : 0;
        temp[lindex + BLOCK_SIZE] = gindex + BLOCK_SIZE < n ? in[gindex + BLOCK_SIZE] : 0;
    }

    // Synchronize (ensure all the data is available)
    __syncthreads();

    // Apply the stencil
    int result = 0;
    for (int offset = -RADIUS; offset <= RADIUS; offset++)
        result += temp[lindex + offset];

    // Store the result
    if (gindex < n) out[gindex] = result;
}

#define IDX(y, x) ((y) * nx + (x))

extern "C" __global__ void laplace_2d(const float* __restrict__ u, float* __restrict__ next, int nx, int ny)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= nx || y >= ny) return;
    if (x > 0 && x < nx - 1 && y > 0 && y < ny - 1)
        next[IDX(y, x)] = 0.25f * (u[IDX(y, x - 1)] + u[IDX(y, x + 1)] + u[IDX(y - 1, x)] + u[IDX(y + 1, x)]);
    else
        next[IDX(y, x)] = u[IDX(y, x)];
}

// Explicit heat equation on a cube, walls kept: a 3-D block.
extern "C" __global__ void heat_3d(const float* __restrict__ t, float* __restrict__ out,
                                   int nx, int ny, int nz, float r)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const int j = blockIdx.y * blockDim.y + threadIdx.y;
    const int k = blockIdx.z * blockDim.z + threadIdx.z;
    if (i >= nx || j >= ny || k >= nz) return;

    const int plane = nx * ny, c = k * plane + j * nx + i;
    bool wall = i == 0 || j == 0 || k == 0 || i == nx - 1 || j == ny - 1 || k == nz - 1;
    if (wall) {
        out[c] = t[c];
        return;
    }
    out[c] = t[c] + r * (t[c - 1] + t[c + 1] + t[c - nx] + t[c + nx] + t[c - plane] + t[c + plane] - 6 * t[c]);
}

// Second-order wave equation on a ring; three time levels rotate.
extern "C" __global__ void wave_ring(const float* before, const float* now, float* after, int n, float c2)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        int left = (i + n - 1) % n, right = (i + 1) % n;
        after[i] = 2.0f * now[i] - before[i] + c2 * (now[left] - 2.0f * now[i] + now[right]);
    }
}
