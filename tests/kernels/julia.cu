// A Julia set, its complex numbers a class with operators.

#define DIM_SCALE 1.5f

struct cuComplex {
    float r;
    float i;
    __device__ cuComplex(float a, float b) : r(a), i(b) {}
    __device__ float magnitude2(void) const { return r * r + i * i; }
    __device__ cuComplex operator*(const cuComplex& a) const {
        return cuComplex(r * a.r - i * a.i, i * a.r + r * a.i);
    }
    __device__ cuComplex operator+(const cuComplex& a) const {
        return cuComplex(r + a.r, i + a.i);
    }
};

__device__ int julia(int x, int y, int width, int height, float re, float im)
{
    float jx = DIM_SCALE * (float)(width / 2 - x) / (width / 2 + 1);
    float jy = DIM_SCALE * (float)(height / 2 - y) / (height / 2 + 1);

    cuComplex c(re, im);
    cuComplex a(jx, jy);

    int i = 0;
    for (i = 0; i < 200; i++) {
        a = a * a + c;
        if (a.magnitude2() > 1000)
            return 0;
    }
    return 1;
}

extern "C" __global__ void julia_set(unsigned char *ptr, int width, int height, float re, float im)
{
    // map from blockIdx to pixel position
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    int offset = x + y * width;

    // now calculate the value at that position
    int juliaValue = julia(x, y, width, height, re, im);
    ptr[offset * 4 + 0] = 255 * juliaValue;
    ptr[offset * 4 + 1] = 0;
    ptr[offset * 4 + 2] = 0;
    ptr[offset * 4 + 3] = 255;
}
