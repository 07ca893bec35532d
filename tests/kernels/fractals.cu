// Mandelbrot and Julia sets, and Newton's basins.

extern "C" __global__ void mandelbrot(int *counts, int width, int height, float x0, float y0, float dx,
                                      float dy, int max_iterations)
{
    int px = blockIdx.x * blockDim.x + threadIdx.x;
    int py = blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= width || py >= height) return;

    float cx = x0 + px * dx, cy = y0 + py * dy;
    float x = 0, y = 0;
    int i = 0;
    do {
        float xx = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = xx;
        i++;
    } while (x * x + y * y < 4.0f && i < max_iterations);
    counts[py * width + px] = i;
}

// The well-known palette: a count becomes a colour.
extern "C" __global__ void colourise(const int* __restrict__ counts, uchar4* __restrict__ pixels, int n,
                                     int max_iterations)
{
    int i = threadIdx.x + blockDim.x * blockIdx.x;
    if (i >= n) return;
    int c = counts[i];
    uchar4 colour;
    if (c == max_iterations) {
        colour = make_uchar4(0, 0, 0, 255);
    } else {
        colour.x = (c * 5) & 0xff;
        colour.y = c << 3;
        colour.z = ~c;
        colour.w = 255;
    }
    pixels[i] = colour;
}

// Newton's method for z^3 = 1: which root a point falls to.
extern "C" __global__ void newton_basins(unsigned char* root, int width, int height, float span)
{
    int px = blockIdx.x * blockDim.x + threadIdx.x, py = blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= width || py >= height) return;
    float re = span * (2.0f * (px + 0.5f) / width - 1.0f);
    float im = span * (2.0f * (py + 0.5f) / height - 1.0f);
    for (int i = 0; i < 40; i++) {
        float re2 = re * re - im * im, im2 = 2.0f * re * im;
        float den = 3.0f * (re2 * re2 + im2 * im2);
        if (den == 0.0f) break;
        // z - (z^3 - 1) / (3 z^2) = (2 z + 1 / z^2) / 3
        float nre = 2.0f / 3.0f * re + re2 / den;
        float nim = 2.0f / 3.0f * im - im2 / den;
        re = nre;
        im = nim;
    }
    if (re > 0) root[py * width + px] = 0;
    else root[py * width + px] = im > 0 ? 1 : 2;
}
