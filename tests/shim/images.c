/* What the specification says of images and samplers: wrong arguments, queries, pitches, maps, and
   commands that wait; prints the line that is not so. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define MAKE(wanted, ...) do { clCreateImage(__VA_ARGS__, &code); IS(code, wanted); } while (0)

static cl_device_id device;
static cl_context context;
static cl_command_queue queue;
static cl_program program;
static cl_int code;
static const cl_image_format bytes = {CL_RGBA, CL_UNSIGNED_INT8};

static const char *source =
    "kernel void twice(read_only image2d_t from, sampler_t how, write_only image2d_t to) {"
    "  int2 at = (int2)(get_global_id(0), get_global_id(1));"
    "  write_imageui(to, at, 2 * read_imageui(from, how, at)); }"
    "kernel void plain(global uint *x) { x[0] = 1; }";

static cl_image_desc described(cl_mem_object_type type, size_t width, size_t height, size_t depth,
                               size_t layers) {
  cl_image_desc made = {0};
  made.image_type = type;
  made.image_width = width;
  made.image_height = height;
  made.image_depth = depth;
  made.image_array_size = layers;
  return made;
}

static size_t told(cl_mem image, cl_image_info what) {
  size_t value = 12345;
  clGetImageInfo(image, what, sizeof value, &value, NULL);
  return value;
}

static int creation(void) {
  unsigned char pixels[6 * 4 * 4];
  cl_image_format odd = {CL_RGBA, 0x1234}, rare = {CL_RGB, CL_UNSIGNED_INT8};
  cl_image_desc flat = described(CL_MEM_OBJECT_IMAGE2D, 6, 4, 0, 0);
  MAKE(CL_INVALID_CONTEXT, NULL, 0, &bytes, &flat, NULL);
  MAKE(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR, context, 0, NULL, &flat, NULL);
  MAKE(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR, context, 0, &odd, &flat, NULL);
  MAKE(CL_IMAGE_FORMAT_NOT_SUPPORTED, context, 0, &rare, &flat, NULL);
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, NULL, NULL);
  MAKE(CL_INVALID_VALUE, context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, &bytes, &flat, NULL);
  MAKE(CL_INVALID_HOST_PTR, context, 0, &bytes, &flat, pixels);
  MAKE(CL_INVALID_HOST_PTR, context, CL_MEM_COPY_HOST_PTR, &bytes, &flat, NULL);
  cl_image_desc wrong = flat;
  wrong.image_height = 0;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, &wrong, NULL);
  wrong = flat;
  wrong.image_type = CL_MEM_OBJECT_BUFFER;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, &wrong, NULL);
  wrong = flat;
  wrong.image_row_pitch = 24;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, &wrong, NULL);
  wrong.image_row_pitch = 23;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, CL_MEM_COPY_HOST_PTR, &bytes, &wrong, pixels);
  wrong = flat;
  wrong.num_samples = 1;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, &wrong, NULL);
  wrong = flat;
  wrong.image_width = 1 << 30;
  MAKE(CL_INVALID_IMAGE_SIZE, context, 0, &bytes, &wrong, NULL);
  clCreateImage2D(context, 0, &bytes, 0, 4, 0, NULL, &code);
  IS(code, CL_INVALID_IMAGE_SIZE);

  cl_uint count = 0;
  IS(clGetSupportedImageFormats(context, 0, CL_MEM_OBJECT_BUFFER, 0, NULL, &count),
     CL_INVALID_VALUE);
  GOOD(clGetSupportedImageFormats(context, CL_MEM_READ_ONLY, CL_MEM_OBJECT_IMAGE2D, 0, NULL,
                                  &count));
  TRUE(count > 10);
  cl_image_format found[3];
  GOOD(clGetSupportedImageFormats(context, 0, CL_MEM_OBJECT_IMAGE3D, 3, found, NULL));
  TRUE(found[2].image_channel_order);

  cl_mem image = clCreateImage2D(context, CL_MEM_READ_ONLY, &bytes, 6, 4, 0, NULL, &code);
  GOOD(code);
  cl_image_format own;
  GOOD(clGetImageInfo(image, CL_IMAGE_FORMAT, sizeof own, &own, NULL));
  TRUE(!memcmp(&own, &bytes, sizeof own));
  TRUE(told(image, CL_IMAGE_ELEMENT_SIZE) == 4 && told(image, CL_IMAGE_ROW_PITCH) == 24);
  TRUE(told(image, CL_IMAGE_SLICE_PITCH) == 0 && told(image, CL_IMAGE_WIDTH) == 6);
  TRUE(told(image, CL_IMAGE_HEIGHT) == 4 && told(image, CL_IMAGE_DEPTH) == 0);
  TRUE(told(image, CL_IMAGE_ARRAY_SIZE) == 0 && told(image, CL_IMAGE_BUFFER) == 0);
  cl_mem_object_type type = 0;
  GOOD(clGetMemObjectInfo(image, CL_MEM_TYPE, sizeof type, &type, NULL));
  TRUE(type == CL_MEM_OBJECT_IMAGE2D);
  GOOD(clRetainMemObject(image));
  GOOD(clReleaseMemObject(image));
  /* It is no buffer, and a buffer is no image. */
  size_t zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
  IS(clEnqueueReadBuffer(queue, image, CL_TRUE, 0, 4, pixels, 0, NULL, NULL),
     CL_INVALID_MEM_OBJECT);
  cl_buffer_region region = {0, 4};
  clCreateSubBuffer(image, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
  IS(code, CL_INVALID_MEM_OBJECT);
  cl_mem buffer = clCreateBuffer(context, 0, 64, NULL, &code);
  IS(clEnqueueReadImage(queue, buffer, CL_TRUE, zero, one, 0, 0, pixels, 0, NULL, NULL),
     CL_INVALID_MEM_OBJECT);
  IS(clGetImageInfo(buffer, CL_IMAGE_WIDTH, 8, zero, NULL), CL_INVALID_MEM_OBJECT);
  cl_image_desc lines = described(CL_MEM_OBJECT_IMAGE1D_ARRAY, 5, 0, 0, 3);
  cl_mem array = clCreateImage(context, 0, &bytes, &lines, NULL, &code);
  GOOD(code);
  TRUE(told(array, CL_IMAGE_ARRAY_SIZE) == 3 && told(array, CL_IMAGE_HEIGHT) == 0);
  TRUE(told(array, CL_IMAGE_SLICE_PITCH) == 20);
  cl_image_desc over = described(CL_MEM_OBJECT_IMAGE1D_BUFFER, 17, 0, 0, 0);
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, &over, NULL);
  over.mem_object = array;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, &over, NULL);
  over.mem_object = buffer;
  MAKE(CL_INVALID_IMAGE_SIZE, context, 0, &bytes, &over, NULL);
  over.image_width = 16;
  cl_mem above = clCreateImage(context, 0, &bytes, &over, NULL, &code);
  GOOD(code);
  TRUE(told(above, CL_IMAGE_BUFFER) == (size_t)buffer);
  cl_mem beneath = NULL;
  GOOD(clGetMemObjectInfo(above, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof beneath, &beneath, NULL));
  TRUE(beneath == buffer);
  GOOD(clReleaseMemObject(buffer));
  GOOD(clReleaseMemObject(above));
  /* Rows over a buffer begin where the device's do. */
  cl_uint pitch = 0;
  GOOD(clGetDeviceInfo(device, CL_DEVICE_IMAGE_PITCH_ALIGNMENT, sizeof pitch, &pitch, NULL));
  buffer = clCreateBuffer(context, 0, 4 * 8 * pitch, NULL, &code);
  over = described(CL_MEM_OBJECT_IMAGE2D, pitch / 2, 4, 0, 0);
  over.mem_object = buffer;
  MAKE(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR, context, 0, &bytes, &over, NULL);
  cl_image_format unknown = {CL_RGBx, CL_UNORM_SHORT_565};
  MAKE(CL_IMAGE_FORMAT_NOT_SUPPORTED, context, 0, &unknown, &over, NULL);
  over.image_row_pitch = 8 * pitch;
  over.image_slice_pitch = 32 * pitch;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &bytes, &over, NULL);
  over.image_slice_pitch = 0;
  above = clCreateImage(context, 0, &bytes, &over, NULL, &code);
  GOOD(code);
  int second[4] = {2, 2, 2, 2}, seen = 0;
  size_t row[3] = {0, 1, 0};
  GOOD(clEnqueueFillImage(queue, above, second, row, one, 0, NULL, NULL));
  GOOD(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 8 * pitch, 4, &seen, 0, NULL, NULL));
  TRUE(seen == 0x02020202);
  GOOD(clReleaseMemObject(above));
  GOOD(clReleaseMemObject(buffer));
  /* It is used as its buffer may be, and has no memory of the program's own. */
  buffer = clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY, 4 * 8 * pitch, NULL,
                          &code);
  over.mem_object = buffer;
  MAKE(CL_INVALID_VALUE, context, CL_MEM_READ_WRITE, &bytes, &over, NULL);
  MAKE(CL_INVALID_VALUE, context, CL_MEM_HOST_WRITE_ONLY, &bytes, &over, NULL);
  MAKE(CL_INVALID_VALUE, context, CL_MEM_COPY_HOST_PTR, &bytes, &over, pixels);
  MAKE(CL_INVALID_HOST_PTR, context, 0, &bytes, &over, pixels);
  above = clCreateImage(context, 0, &bytes, &over, NULL, &code);
  GOOD(code);
  cl_mem_flags flags = 0;
  GOOD(clGetMemObjectInfo(above, CL_MEM_FLAGS, sizeof flags, &flags, NULL));
  TRUE(flags == (CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY));
  IS(clEnqueueWriteImage(queue, above, CL_TRUE, zero, one, 0, 0, pixels, 0, NULL, NULL),
     CL_INVALID_OPERATION);
  GOOD(clReleaseMemObject(above));
  GOOD(clReleaseMemObject(buffer));
  /* Pixels of another image are seen as they may be, and live as long; depths no unit here sees. */
  cl_image_format plain = {CL_RGBA, CL_UNORM_INT8}, corrected = {CL_sRGBA, CL_UNORM_INT8};
  cl_image_format red = {CL_R, CL_FLOAT}, depth = {CL_DEPTH, CL_FLOAT};
  cl_mem first = clCreateImage(context, 0, &plain, &flat, NULL, &code);
  GOOD(code);
  wrong = flat;
  wrong.mem_object = first;
  MAKE(CL_IMAGE_FORMAT_NOT_SUPPORTED, context, 0, &corrected, &wrong, NULL); /* to be written */
  MAKE(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR, context, 0, &bytes, &wrong, NULL);
  cl_mem view = clCreateImage(context, CL_MEM_READ_ONLY, &corrected, &wrong, NULL, &code);
  GOOD(code);
  GOOD(clGetMemObjectInfo(view, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof beneath, &beneath, NULL));
  TRUE(beneath == first);
  cl_uint color = 0x40302010;
  GOOD(clEnqueueWriteImage(queue, first, CL_TRUE, zero, one, 0, 0, &color, 0, NULL, NULL));
  GOOD(clReleaseMemObject(first));
  GOOD(clEnqueueReadImage(queue, view, CL_TRUE, zero, one, 0, 0, &seen, 0, NULL, NULL));
  TRUE(seen == (int)color);
  wrong.mem_object = view;
  MAKE(CL_IMAGE_FORMAT_NOT_SUPPORTED, context, 0, &plain, &wrong, NULL);
  GOOD(clReleaseMemObject(view));
  first = clCreateImage(context, 0, &red, &flat, NULL, &code);
  GOOD(code);
  wrong.mem_object = first;
  MAKE(CL_IMAGE_FORMAT_NOT_SUPPORTED, context, 0, &depth, &wrong, NULL);
  GOOD(clReleaseMemObject(first));
  first = clCreateImage(context, 0, &plain, &flat, NULL, &code);
  GOOD(code);
  wrong.mem_object = first;
  wrong.image_width = 5;
  MAKE(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR, context, 0, &corrected, &wrong, NULL);
  wrong.image_type = CL_MEM_OBJECT_IMAGE1D;
  MAKE(CL_INVALID_IMAGE_DESCRIPTOR, context, 0, &corrected, &wrong, NULL);
  GOOD(clReleaseMemObject(first));
  /* Of one that failed work has spoilt, here for the image that it read is gone, that is told. */
  cl_mem spoilt = clCreateImage(context, 0, &plain, &flat, NULL, &code);
  cl_mem gone = clCreateImage(context, 0, &bytes, &flat, NULL, &code);
  cl_sampler how = clCreateSampler(context, CL_FALSE, CL_ADDRESS_NONE, CL_FILTER_NEAREST, &code);
  cl_kernel twice = clCreateKernel(program, "twice", &code);
  size_t threads[] = {1, 1};
  wrong = flat;
  wrong.mem_object = spoilt;
  GOOD(clSetKernelArg(twice, 0, sizeof gone, &gone));
  GOOD(clSetKernelArg(twice, 1, sizeof how, &how));
  GOOD(clSetKernelArg(twice, 2, sizeof spoilt, &spoilt));
  GOOD(clReleaseMemObject(gone));
  GOOD(clEnqueueNDRangeKernel(queue, twice, 2, NULL, threads, NULL, 0, NULL, NULL));
  IS(clFinish(queue), CL_INVALID_KERNEL_ARGS);
  MAKE(CL_INVALID_KERNEL_ARGS, context, CL_MEM_READ_ONLY, &corrected, &wrong, NULL);
  GOOD(clReleaseKernel(twice));
  GOOD(clReleaseSampler(how));
  GOOD(clReleaseMemObject(spoilt));
  GOOD(clReleaseMemObject(array));
  GOOD(clReleaseMemObject(image));
  return 0;
}

static int samplers(void) {
  cl_uint number = 0;
  clCreateSampler(context, CL_FALSE, CL_ADDRESS_REPEAT, CL_FILTER_NEAREST, &code);
  IS(code, CL_INVALID_VALUE);
  clCreateSampler(context, CL_TRUE, 5, CL_FILTER_NEAREST, &code);
  IS(code, CL_INVALID_VALUE);
  cl_sampler_properties wrong[] = {CL_SAMPLER_FILTER_MODE, 7, 0};
  clCreateSamplerWithProperties(context, wrong, &code);
  IS(code, CL_INVALID_VALUE);
  cl_sampler_properties wanted[] = {CL_SAMPLER_FILTER_MODE, CL_FILTER_LINEAR, 0};
  cl_sampler sampler = clCreateSamplerWithProperties(context, wanted, &code);
  GOOD(code);
  GOOD(clGetSamplerInfo(sampler, CL_SAMPLER_ADDRESSING_MODE, sizeof number, &number, NULL));
  TRUE(number == CL_ADDRESS_CLAMP);
  GOOD(clGetSamplerInfo(sampler, CL_SAMPLER_NORMALIZED_COORDS, sizeof number, &number, NULL));
  TRUE(number == CL_TRUE);
  cl_sampler_properties back[3];
  GOOD(clGetSamplerInfo(sampler, CL_SAMPLER_PROPERTIES, sizeof back, back, NULL));
  TRUE(!memcmp(back, wanted, sizeof back));
  GOOD(clRetainSampler(sampler));
  GOOD(clReleaseSampler(sampler));
  GOOD(clReleaseSampler(sampler));
  IS(clReleaseSampler(sampler), CL_INVALID_SAMPLER);
  return 0;
}

static int transfers(void) {
  unsigned char pixels[4][32], back[4][32], wanted[4][24];
  size_t zero[3] = {0, 0, 0}, at[3] = {1, 1, 0}, whole[3] = {6, 4, 1}, part[3] = {5, 3, 1};
  for (int i = 0; i < 4 * 32; i++)
    pixels[i / 32][i % 32] = (unsigned char)i;
  cl_image_desc flat = described(CL_MEM_OBJECT_IMAGE2D, 6, 4, 0, 0);
  flat.image_row_pitch = 32;
  cl_mem from = clCreateImage(context, CL_MEM_USE_HOST_PTR, &bytes, &flat, pixels, &code);
  GOOD(code);
  flat.image_row_pitch = 0;
  cl_mem to = clCreateImage(context, CL_MEM_WRITE_ONLY, &bytes, &flat, NULL, &code);
  GOOD(code);
  IS(clEnqueueReadImage(queue, from, CL_TRUE, at, whole, 0, 0, back, 0, NULL, NULL),
     CL_INVALID_VALUE);
  IS(clEnqueueReadImage(queue, from, CL_TRUE, NULL, whole, 0, 0, back, 0, NULL, NULL),
     CL_INVALID_VALUE);
  IS(clEnqueueReadImage(queue, from, CL_TRUE, zero, whole, 20, 0, back, 0, NULL, NULL),
     CL_INVALID_VALUE);
  IS(clEnqueueReadImage(queue, from, CL_TRUE, zero, whole, 0, 100, back, 0, NULL, NULL),
     CL_INVALID_VALUE);
  /* Rows in the program's memory need not be whole pixels apart. */
  unsigned char odd[4 * 25];
  GOOD(clEnqueueReadImage(queue, from, CL_TRUE, zero, whole, 25, 0, odd, 0, NULL, NULL));
  for (int y = 0; y < 4; y++)
    TRUE(!memcmp(&odd[25 * y], pixels[y], 24));
  IS(clEnqueueCopyImage(queue, from, from, zero, at, part, 0, NULL, NULL), CL_MEM_COPY_OVERLAP);
  cl_image_format floats = {CL_RGBA, CL_FLOAT};
  cl_mem other = clCreateImage(context, 0, &floats, &flat, NULL, &code);
  GOOD(code);
  IS(clEnqueueCopyImage(queue, from, other, zero, zero, whole, 0, NULL, NULL),
     CL_IMAGE_FORMAT_MISMATCH);
  GOOD(clReleaseMemObject(other));

  cl_kernel kernel = clCreateKernel(program, "twice", &code);
  GOOD(code);
  cl_sampler sampler = clCreateSampler(context, CL_FALSE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST,
                                       &code);
  cl_mem buffer = clCreateBuffer(context, 0, 4, NULL, &code);
  IS(clSetKernelArg(kernel, 0, sizeof buffer, &buffer), CL_INVALID_MEM_OBJECT);
  IS(clSetKernelArg(kernel, 0, 4, &from), CL_INVALID_ARG_SIZE);
  IS(clSetKernelArg(kernel, 0, sizeof to, &to), CL_INVALID_ARG_VALUE);
  IS(clSetKernelArg(kernel, 1, sizeof from, &from), CL_INVALID_SAMPLER);
  IS(clSetKernelArg(kernel, 1, sizeof sampler, NULL), CL_INVALID_SAMPLER);
  cl_kernel plain = clCreateKernel(program, "plain", &code);
  IS(clSetKernelArg(plain, 0, sizeof from, &from), CL_INVALID_MEM_OBJECT);
  GOOD(clSetKernelArg(kernel, 0, sizeof from, &from));
  GOOD(clSetKernelArg(kernel, 1, sizeof sampler, &sampler));
  IS(clEnqueueNDRangeKernel(queue, kernel, 2, NULL, whole, NULL, 0, NULL, NULL),
     CL_INVALID_KERNEL_ARGS);
  GOOD(clSetKernelArg(kernel, 2, sizeof to, &to));
  GOOD(clReleaseSampler(sampler)); /* its value is the kernel's */

  /* All of it waits for a user event; the read has a pitch of the program's. */
  cl_event gate = clCreateUserEvent(context, &code);
  memset(back, 0xee, sizeof back);
  GOOD(clEnqueueNDRangeKernel(queue, kernel, 2, NULL, whole, NULL, 1, &gate, NULL));
  GOOD(clEnqueueReadImage(queue, to, CL_FALSE, zero, whole, 32, 0, back, 0, NULL, NULL));
  GOOD(clSetUserEventStatus(gate, CL_COMPLETE));
  GOOD(clFinish(queue));
  for (int y = 0; y < 4; y++)
    for (int x = 0; x < 32; x++)
      TRUE(back[y][x] == (x < 24 ? (unsigned char)(2 * pixels[y][x]) : 0xee));

  /* In memory of the program's own a map lies where it was. */
  size_t row = 0, slice = 7;
  void *seen = clEnqueueMapImage(queue, from, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, at, part, NULL,
                                 NULL, 0, NULL, NULL, &code);
  IS(code, CL_INVALID_VALUE);
  seen = clEnqueueMapImage(queue, from, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, at, part, &row,
                           &slice, 0, NULL, NULL, &code);
  GOOD(code);
  TRUE(seen == &pixels[1][4] && row == 32 && slice == 0);
  memset(seen, 1, 4);
  GOOD(clEnqueueUnmapMemObject(queue, from, seen, 0, NULL, NULL));
  IS(clEnqueueUnmapMemObject(queue, from, seen, 0, NULL, NULL), CL_INVALID_VALUE);
  for (int y = 0; y < 4; y++)
    memcpy(wanted[y], pixels[y], 24);
  unsigned char packed[4][24];
  GOOD(clEnqueueReadImage(queue, from, CL_TRUE, zero, whole, 0, 0, packed, 0, NULL, NULL));
  TRUE(!memcmp(packed, wanted, sizeof wanted) && packed[1][4] == 1);
  /* What is not read but written is all written. */
  seen = clEnqueueMapImage(queue, to, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, zero, whole, &row,
                           NULL, 0, NULL, NULL, &code);
  GOOD(code);
  TRUE(row == 24);
  memset(seen, 3, sizeof packed);
  GOOD(clEnqueueUnmapMemObject(queue, to, seen, 0, NULL, NULL));
  GOOD(clEnqueueReadImage(queue, to, CL_TRUE, zero, whole, 0, 0, packed, 0, NULL, NULL));
  TRUE(packed[0][0] == 3 && packed[3][23] == 3);
  GOOD(clReleaseMemObject(from));
  GOOD(clReleaseMemObject(to));
  GOOD(clReleaseKernel(kernel));
  return 0;
}

int main(void) {
  cl_platform_id platform;
  cl_bool has = CL_FALSE;
  GOOD(clGetPlatformIDs(1, &platform, NULL));
  GOOD(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
  GOOD(clGetDeviceInfo(device, CL_DEVICE_IMAGE_SUPPORT, sizeof has, &has, NULL));
  TRUE(has);
  context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  GOOD(code);
  queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  GOOD(code);
  program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
  GOOD(clBuildProgram(program, 1, &device, NULL, NULL, NULL));
  if (creation() || samplers() || transfers())
    return 1;
  puts("good");
  return 0;
}
